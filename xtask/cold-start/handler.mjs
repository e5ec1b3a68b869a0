// A handler for Node that does what the API does first: looks for an order in DynamoDB, and says that there is none.
// Lambda's own runtime for Node is left out, which makes it start sooner than it would there.
import http from "node:http";
import { DynamoDBClient, GetItemCommand } from "@aws-sdk/client-dynamodb";

const client = new DynamoDBClient({});
const agent = new http.Agent({ keepAlive: true });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const api = "/2018-06-01/runtime/invocation";

const ask = (method, path, body = "") =>
  new Promise((resolve, reject) => {
    const headers = { "content-length": Buffer.byteLength(body) };
    const request = http.request({ host, port, agent, method, path: api + path, headers }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => resolve({ headers: answer.headers, text: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });

const handle = async (event) => {
  const id = event.path.split("/").pop();
  const key = { pk: { S: `EVENTS#ORDER_ID#${id}` }, sk: { S: "EVENT#OrderPlaced" } };
  const found = await client.send(
    new GetItemCommand({ TableName: process.env.EVENT_TABLE, Key: key, ConsistentRead: true }),
  );
  return found.Item
    ? { statusCode: 200, body: JSON.stringify(found.Item) }
    : { statusCode: 404, body: JSON.stringify({ code: "not_found" }) };
};

const loop = async () => {
  for (;;) {
    const { headers, text } = await ask("GET", "/next");
    const answer = await handle(JSON.parse(text));
    await ask("POST", `/${headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(answer));
  }
};

loop();
