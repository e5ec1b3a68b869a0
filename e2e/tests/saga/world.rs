//! The deployed system, and what a client, an operator and a saboteur can do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use end_to_end::deploy::{self, Code, ENVIRONMENT, TEMPLATES};
use end_to_end::double::{Answer, Double, REGION};
use end_to_end::pipe::{Queue, Runner};
use end_to_end::tap::Tap;
use event_store_dynamodb::stream::StreamReader;
use event_store_dynamodb::{DynamoStore, Limits, Tables};
use hyper::Method;
use serde_json::{Value, json};
use telemetry::collector::Collector;
use tokio::task::JoinHandle;
use topology::Topology;
use worker_functions::{Bus, BusEvent, CarryError, EventBus};

/// How long anything may take: a double on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct World {
    pub double: Double,
    /// Hears what the functions ask of AWS.
    pub tap: Tap,
    pub topology: Topology,
    pub store: Arc<DynamoStore>,
    pub sqs: Client,
    pub bus: Arc<Saboteur>,
    pub pipe: Arc<Runner>,
    pub collector: Collector,
    apis: BTreeMap<&'static str, String>,
    pub api_key: String,
    /// A key that opened a door before it was revoked, and since when it is.
    pub revoked: Mutex<Option<(String, Instant)>>,
    running: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl World {
    /// Both stacks, deployed, with a pipe that runs.
    pub async fn deployed() -> World {
        let double = Double::of_variables().unwrap();
        let tap = std::env::var("SAGALINE_MINISTACK_TAP").unwrap();
        let tap = Tap::open(tap.parse().unwrap(), double.endpoint()).await.unwrap();
        let collector = Collector::start().await.unwrap();
        let code = Code::of_variables().unwrap();
        let outputs = deploy::deploy(&double, &code, collector.endpoint()).await.unwrap();
        let output = |template: &'static str, name: &str| outputs[&(template, name.to_owned())].clone();
        let (oms, ims) = (TEMPLATES[0].name, TEMPLATES[1].name);
        let api = |template| deploy::api_of(&output(template, "ApiUrl")).to_owned();
        // The first one, which no API could be asked for.
        let first = ["key", "create", "first", "--role", "admin", "--stack", "oms"];
        let key = sagaline(&double, &first).await;
        let topology = deploy::topology().unwrap();

        let mut variables = variables(&double, &topology).await;
        variables.insert("SHADOW_TABLE".into(), output(oms, "ShadowTableName"));
        let connection = double.connection();
        let tables = Tables::of_variables(|name| variables.get(name).cloned());
        let store = DynamoStore::new(&connection, tables, Limits::default());
        let reader = StreamReader::of_log(&store, &connection).await.unwrap();
        let sqs = Client::new(&connection.config());
        let bus = Arc::new(Saboteur {
            bus: EventBus::new(&connection, &variables["EVENT_BUS"]),
            refused: Mutex::default(),
            lost: Mutex::default(),
            held: Mutex::default(),
        });
        let dead_letter_queue = topology.pipe.dead_letter_queue.clone().unwrap();
        let pipe = Arc::new(Runner {
            pipe: topology.pipe.clone(),
            bus: bus.clone(),
            dead_letters: Arc::new(Queue { client: sqs.clone(), url: url_of(&double, &dead_letter_queue) }),
            stream: reader.arn().to_owned(),
            pause: Duration::from_millis(5),
        });
        let runner = pipe.clone();
        World {
            apis: [("oms", api(oms)), ("ims", api(ims))].into(),
            api_key: key["api_key"].as_str().unwrap().to_owned(),
            revoked: Mutex::default(),
            store: Arc::new(store),
            running: tokio::spawn(async move { runner.run(reader).await }),
            collector,
            double,
            tap,
            topology,
            sqs,
            bus,
            pipe,
        }
    }

    /// Asks through API Gateway.
    pub async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask_with(&self.api_key, method, path, body).await
    }

    /// Asks with another key.
    pub async fn ask_with(&self, key: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let answer = self.ask_showing(&[("x-api-key", key)], method, path, body).await;
        (answer.status, answer.json())
    }

    /// Asks with whatever is shown.
    pub async fn ask_showing(
        &self,
        shown: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let api = &self.apis[if path.starts_with("/inventory") { "ims" } else { "oms" }];
        let url = format!("/restapis/{api}/{ENVIRONMENT}/_user_request_{path}");
        let headers = [shown, &[("content-type", "application/json")]].concat();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.double.ask("", (method, &url), &headers, body).await.unwrap()
    }

    /// A key that nobody has shown before.
    pub async fn new_key(&self, role: &str, customer: Option<&str>) -> String {
        let mut wanted = json!({ "name": "e2e", "role": role });
        if let Some(customer) = customer {
            wanted["customer_id"] = customer.into();
        }
        let made = self.post("/keys", wanted).await;
        made["api_key"].as_str().unwrap().to_owned()
    }

    /// What a client reads, without what only the clock decides.
    pub async fn get(&self, path: &str) -> Value {
        let (status, mut answer) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        strip_times(&mut answer);
        answer
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, Some(body)).await;
        assert!([201, 202].contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// A customer, and a product of which so many are in stock. Names are the scenario's own.
    pub async fn shop(&self, name: &str, units: u32) {
        self.post("/customers", json!({ "customer_id": format!("{name}-customer"), "name": "Anna" })).await;
        self.post("/products", json!({ "product_id": name, "sku": name, "name": name, "price": 2.5 })).await;
        self.post("/inventory/restocks", json!({ "sku": name, "units": units, "lot_id": "lot-1" })).await;
        self.until_stock(name, [units, 0, 0]).await;
    }

    /// Orders so many of a shop's product.
    pub async fn order(&self, shop: &str, order: &str, units: u32) {
        self.order_by(shop, order, units, "standard").await;
    }

    pub async fn order_by(&self, shop: &str, order: &str, units: u32, priority: &str) {
        self.order_with(&self.api_key, shop, order, units, priority).await;
    }

    pub async fn order_with(&self, key: &str, shop: &str, order: &str, units: u32, priority: &str) {
        let items = json!([{ "sku": shop, "quantity": units }]);
        let customer = format!("{shop}-customer");
        let order =
            json!({ "order_id": order, "customer_id": customer, "items": items, "priority": priority });
        let (status, answer) = self.ask_with(key, Method::POST, "/orders", Some(order)).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Waits until an order is in a state and nobody owes it anything any more.
    pub async fn until_order(&self, order: &str, status: &str) {
        until(&format!("{order} is {status}"), async || {
            let (_, row) = self.ask(Method::GET, &format!("/orders/{order}"), None).await;
            (row["status"] == status).then_some(()).ok_or(row)
        })
        .await;
    }

    /// Waits until a SKU's counters are these: available, reserved, sold.
    pub async fn until_stock(&self, sku: &str, wanted: [u32; 3]) {
        until(&format!("the stock of {sku} is {wanted:?}"), async || {
            let (_, row) = self.ask(Method::GET, &format!("/inventory/skus/{sku}"), None).await;
            let counters = ["available", "reserved", "sold"].map(|name| row[name].as_u64());
            (counters == wanted.map(|units| Some(units.into()))).then_some(()).ok_or(row)
        })
        .await;
    }

    /// The names of an order's events, in their order.
    pub async fn events(&self, order: &str) -> Vec<String> {
        let history = self.get(&format!("/orders/{order}/events")).await;
        assert_eq!(history["anomalies"], json!([]));
        let names = history["events"].as_array().unwrap().iter();
        names.map(|event| event["event_name"].as_str().unwrap().to_owned()).collect()
    }

    /// Sends a message to a queue.
    pub async fn send(&self, queue: &str, body: &Value) {
        let send = self.sqs.send_message().queue_url(self.url(queue)).message_body(body.to_string());
        send.send().await.unwrap();
    }

    /// Sends a message about which something is told beside it.
    pub async fn send_with(&self, queue: &str, body: &Value, told: &[(&str, &str)]) {
        let mut send = self.sqs.send_message().queue_url(self.url(queue)).message_body(body.to_string());
        for (name, value) in told {
            let value = MessageAttributeValue::builder().data_type("String").string_value(*value);
            send = send.message_attributes(*name, value.build().unwrap());
        }
        send.send().await.unwrap();
    }

    /// What the command answers to an operator.
    pub async fn sagaline(&self, words: &[&str]) -> Value {
        sagaline(&self.double, words).await
    }

    /// The same where it may find something; whether it found nothing.
    pub async fn is_well(&self, words: &[&str]) -> (bool, Value) {
        let output = run(&self.double, words).await;
        let said = String::from_utf8_lossy(&output.stderr);
        let answer = serde_json::from_slice(&output.stdout);
        (output.status.success(), answer.unwrap_or_else(|_| panic!("{words:?}: {said}")))
    }

    /// Takes a message out of a queue, and out of the world, as soon as there is one.
    pub async fn take(&self, queue: &str) -> Value {
        let url = self.url(queue);
        let message = until(&format!("there is a message in {queue}"), async || {
            let received = self.sqs.receive_message().queue_url(&url).send().await.unwrap();
            received.messages.unwrap_or_default().into_iter().next().ok_or(Value::Null)
        })
        .await;
        let receipt = message.receipt_handle().unwrap();
        self.sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
        serde_json::from_str(message.body().unwrap()).unwrap()
    }

    /// Asks Lambda for something.
    pub async fn lambda(&self, method: Method, path: &str, body: Value) -> Value {
        let path = format!("/2015-03-31/{path}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.double.done("lambda", (method, &path), &[], body).await.unwrap().json()
    }

    /// Asks a service that takes JSON.
    pub async fn aws(&self, service: &str, target: &str, body: Value) -> Value {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
        self.double.done(service, (Method::POST, "/"), &headers, body.to_string()).await.unwrap().json()
    }

    /// How many messages a queue holds, seen or unseen.
    pub async fn depth(&self, queue: &str) -> u32 {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let ask = self.sqs.get_queue_attributes().queue_url(self.url(queue));
        let attributes = ask.set_attribute_names(Some(names.to_vec())).send().await.unwrap();
        attributes.attributes.unwrap_or_default().values().map(|count| count.parse::<u32>().unwrap()).sum()
    }

    /// Waits until every queue that a function reads has been empty for a while.
    pub async fn until_quiet(&self) {
        let mut quiet = 0;
        until("the queues are empty", async || {
            let mut full = Vec::new();
            for source in self.topology.functions.iter().flat_map(|function| function.sources()) {
                if self.depth(&source.queue).await > 0 {
                    full.push(source.queue.clone());
                }
            }
            quiet = if full.is_empty() { quiet + 1 } else { 0 };
            (quiet > 5).then_some(()).ok_or(json!(full))
        })
        .await;
    }

    /// The dead-letter queues that hold something, and how much.
    pub async fn dead_letters(&self) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        for queue in self.topology.queues.iter().filter(|queue| queue.name.ends_with("DLQ")) {
            let depth = self.depth(&queue.name).await;
            if depth > 0 {
                found.push((queue.name.clone(), depth));
            }
        }
        found
    }

    /// Where a queue is.
    pub fn url(&self, queue: &str) -> String {
        url_of(&self.double, queue)
    }
}

async fn sagaline(double: &Double, words: &[&str]) -> Value {
    let output = run(double, words).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn run(double: &Double, words: &[&str]) -> Output {
    let mut command = Command::new(deploy::program("sagaline").unwrap());
    command.args(words).args(["-o", "json", "--endpoint-url", double.endpoint()]);
    command.env("AWS_REGION", REGION);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn strip_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("_at"));
            fields.values_mut().for_each(strip_times);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_times),
        _ => {}
    }
}

/// Asks until there is an answer; what it is instead stands in the panic.
pub async fn until<T>(what: &str, mut answer: impl AsyncFnMut() -> Result<T, Value>) -> T {
    let began = Instant::now();
    loop {
        match answer().await {
            Ok(answer) => return answer,
            Err(instead) if began.elapsed() > PATIENCE => panic!("waited in vain until {what}: {instead}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A bus that can be told to refuse or lose what is about an order, and to hold back everything.
pub struct Saboteur {
    pub bus: EventBus,
    pub refused: Mutex<BTreeSet<String>>,
    pub lost: Mutex<BTreeSet<String>>,
    pub held: Mutex<Option<Vec<BusEvent>>>,
}

#[async_trait]
impl Bus for Saboteur {
    async fn put(&self, events: &[BusEvent]) -> Result<(), CarryError> {
        if let Some(held) = &mut *self.held.lock().unwrap() {
            held.extend_from_slice(events);
            return Ok(());
        }
        let among = |orders: &Mutex<BTreeSet<String>>, event: &BusEvent| {
            orders.lock().unwrap().iter().any(|order| event.detail.contains(order))
        };
        if events.iter().any(|event| among(&self.refused, event)) {
            return Err(CarryError::Bus("refused by the test".into()));
        }
        let kept: Vec<BusEvent> = events.iter().filter(|event| !among(&self.lost, event)).cloned().collect();
        if kept.is_empty() { Ok(()) } else { self.bus.put(&kept).await }
    }
}

/// What the functions were told: each name has one value, whoever was told it.
async fn variables(double: &Double, topology: &Topology) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for function in &topology.functions {
        let path = format!("/2015-03-31/functions/{}/configuration", function.binary);
        let told = double.done("lambda", (Method::GET, &path), &[], "").await.unwrap().json();
        let told = told["Environment"]["Variables"].as_object().unwrap().iter();
        variables.extend(told.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
    }
    variables
}

fn url_of(double: &Double, queue: &str) -> String {
    format!("{}/000000000000/{queue}", double.endpoint())
}
