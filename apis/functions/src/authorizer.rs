//! The authorizer: what API Gateway asks before a request reaches an API, and how the API hears of the answer.
//!
//! It says who asks, and nothing of what they may: which role a route takes is decided where the route is, by one table,
//! on one machine and here. So its policy lets a caller ask for everything of a stage or for nothing.

use std::sync::Arc;

use apis::access::{is_open_to_nobody, shown};
use apis::limits::Origin;
use apis::problem::title;
use auth::{Authenticator, Principal, Refusal, digest};
use event_store::SystemStamper;
use event_store_dynamodb::deadline;
use functions::{Function, required};
use lambda_http::aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest as Asked;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use telemetry::trace;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::xray;

/// Answers API Gateway for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn authorize(name: &'static str) -> Result<(), Error> {
    let function = Function::start(name)?;
    let store = Arc::new(function.store());
    let clock = Arc::new(SystemStamper::new(name));
    let authenticator = Authenticator::new(store.clone(), store.clone(), store, clock);
    let authorizer = Authorizer { authenticator, shares: required("CLIENT_SHARES")? };
    let (function, authorizer) = (&function, &authorizer);
    let answer = |LambdaEvent { mut payload, context }: LambdaEvent<Asked>| {
        let until = functions::deadline(&context);
        let span = span_of(&mut payload, context.xray_trace_id.as_deref());
        function.invocation(authorizer.answer(until, payload).instrument(span))
    };
    lambda_runtime::run(service_fn(answer)).await
}

fn span_of(asked: &mut Asked, invocation: Option<&str>) -> Span {
    let span = tracing::info_span!("authorize", otel.kind = "server");
    xray::continue_invocation(&mut asked.headers, invocation);
    let theirs = asked.headers.get("traceparent").and_then(|theirs| theirs.to_str().ok());
    trace::join(&span, theirs.unwrap_or_default());
    span
}

/// Says to API Gateway who asks.
struct Authorizer {
    authenticator: Authenticator,
    /// What the names of [`SHARES`] begin with.
    shares: String,
}

/// Among so many shares of a usage plan all callers are divided: each is always in the same one, and one that asks too
/// much takes nothing from the others.
const SHARES: u64 = 8;

impl Authorizer {
    /// A policy. Whoever does not prove who they are is denied everything, and not answered with an error, which Lambda
    /// would count: the templates' gateway response makes 401 of it.
    ///
    /// # Errors
    /// It could not be found out who asks, which says nothing about them.
    async fn answer(&self, until: Instant, asked: Asked) -> Result<Value, Error> {
        let stage = stage_of(&asked).ok_or("there is no methodArn in what API Gateway asks")?;
        let found = deadline::until(until, self.authenticator.principal(shown(&asked.headers)));
        let found = timeout_at(until, found).await.map_err(|_| "time was up before it was known who asks")?;
        match found {
            Ok(principal) => Ok(self.allowed(&stage, &principal)),
            Err(Refusal::Nothing) if is_public(&asked) => Ok(self.allowed(&stage, &Principal::nobody())),
            Err(Refusal::Unavailable(error)) => Err(error.into()),
            Err(refusal @ (Refusal::Nothing | Refusal::Both | Refusal::Bad)) => Ok(denied(&stage, &refusal)),
        }
    }

    fn allowed(&self, stage: &str, principal: &Principal) -> Value {
        let mut policy = policy("Allow", stage, &principal.id);
        policy["context"] = json!(principal);
        policy["usageIdentifierKey"] = json!(format!("{}{}", self.shares, share_of(principal)));
        policy
    }
}

/// What the gateway response tells the client.
fn denied(stage: &str, refusal: &Refusal) -> Value {
    let mut policy = policy("Deny", stage, &Principal::nobody().id);
    let code = refusal.code();
    policy["context"] = json!({ "code": code, "title": title(code), "detail": refusal.to_string() });
    policy
}

fn policy(effect: &str, stage: &str, principal_id: &str) -> Value {
    let statement =
        json!({ "Action": "execute-api:Invoke", "Effect": effect, "Resource": format!("{stage}/*") });
    json!({
        "principalId": principal_id,
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
    })
}

/// `arn:aws:execute-api:<region>:<account>:<api>/<stage>` of the method that is asked for.
fn stage_of(asked: &Asked) -> Option<String> {
    let (api, rest) = asked.method_arn.as_deref()?.split_once('/')?;
    Some(format!("{api}/{}", rest.split('/').next()?))
}

fn is_public(asked: &Asked) -> bool {
    let method = asked.http_method.as_ref().map_or("", |method| method.as_str());
    is_open_to_nobody(method, asked.resource.as_deref().unwrap_or_default())
}

fn share_of(principal: &Principal) -> u64 {
    let hash = digest(&principal.id);
    u64::from_str_radix(&hash[..8], 16).expect("a digest is made of hexadecimal digits") % SHARES
}

/// Who asks, as API Gateway says beside the request. A header says nothing here: clients write those themselves.
pub(crate) fn said_by_the_gateway(request: &Request) -> Option<Principal> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => {
            let said = context.authorizer.fields.clone().into_iter().collect();
            serde_json::from_value(Value::Object(said)).ok()
        }
        _ => None,
    }
}

/// Where a request comes from, as API Gateway saw it.
pub(crate) fn origin(request: &Request) -> Option<Origin> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV1(context) => {
            context.identity.source_ip.as_ref()?.parse().ok().map(Origin)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use auth::key;
    use event_store::memory::MemoryStore;
    use event_store::{Added, Keys, Role, Stamper};
    use event_store_dynamodb::{Connection, DynamoStore, Limits, Tables};
    use events::CustomerId;

    use super::*;

    const ARN: &str = "arn:aws:execute-api:eu-central-1:000000000000:abc123/dev";

    fn over<Store>(store: Arc<Store>) -> Authorizer
    where
        Store: event_store::Users + Keys + event_store::Secrets + 'static,
    {
        let clock = Arc::new(SystemStamper::new("test"));
        let authenticator = Authenticator::new(store.clone(), store.clone(), store, clock);
        Authorizer { authenticator, shares: "share".into() }
    }

    /// As "Input to an API Gateway Lambda authorizer", Amazon API Gateway Developer Guide, shows it.
    fn asked(method: &str, resource: &str, headers: Value) -> Asked {
        let event = json!({
            "type": "REQUEST", "methodArn": format!("{ARN}/{method}{resource}"), "resource": resource, "path": resource,
            "httpMethod": method, "headers": headers, "queryStringParameters": {}, "pathParameters": {},
            "stageVariables": {}, "requestContext": { "path": resource, "accountId": "000000000000", "stage": "dev" },
        });
        serde_json::from_value(event).unwrap()
    }

    async fn answer(authorizer: &Authorizer, asked: Asked) -> Result<Value, Error> {
        authorizer.answer(Instant::now() + Duration::from_secs(5), asked).await
    }

    async fn with_a_key(role: Role, customer: Option<&str>) -> (Authorizer, String, String) {
        let store = Arc::new(MemoryStore::default());
        let customer = customer.map(|id| CustomerId::parse(id).unwrap());
        let (key, shown) = key::new("test".into(), role, customer, SystemStamper::new("test").now());
        let id = key.row.key_id.clone();
        assert_eq!(store.add_key(key).await, Ok(Added::New));
        (over(store), shown, id)
    }

    #[tokio::test]
    async fn whoever_proves_who_they_are_may_ask_for_the_whole_stage_and_the_api_hears_who_it_is() {
        let (authorizer, shown, id) = with_a_key(Role::Customer, Some("cust-1")).await;
        let answer =
            answer(&authorizer, asked("GET", "/orders/{id}", json!({ "X-Api-Key": shown }))).await.unwrap();
        let statement =
            json!({ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": format!("{ARN}/*") });
        let principal = format!("key:{id}");
        let expected = json!({
            "principalId": principal,
            "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
            "context": { "id": principal, "role": "customer", "customer_id": "cust-1" },
            "usageIdentifierKey": answer["usageIdentifierKey"],
        });
        assert_eq!(answer, expected);
        let secret = shown.splitn(3, '_').nth(2).unwrap();
        assert!(!answer.to_string().contains(secret) && !answer.to_string().contains(&auth::digest(secret)));
        // The event that the API gets, in which a client says something else.
        let mut context = answer["context"].clone();
        context["principalId"] = json!(principal);
        let forged = json!({ "role": "admin", "x-role": "admin", "requestContext": "{\"authorizer\":{}}" });
        let said = said_by_the_gateway(&request(forged, json!({ "authorizer": context }))).unwrap();
        let customer_id = CustomerId::parse("cust-1").ok();
        assert_eq!(said, Principal { id: principal, role: Some(Role::Customer), customer_id });
    }

    fn request(headers: Value, mut context: Value) -> Request {
        for (name, value) in
            [("httpMethod", "GET"), ("resourcePath", "/orders"), ("stage", "dev"), ("path", "/dev/orders")]
        {
            context[name] = json!(value);
        }
        context["identity"] = json!({ "sourceIp": "192.0.2.7" });
        let event = json!({
            "resource": "/orders", "path": "/orders", "httpMethod": "GET", "headers": headers,
            "requestContext": context, "body": null, "isBase64Encoded": false,
        });
        lambda_http::request::from_str(&event.to_string()).unwrap()
    }

    #[test]
    fn where_a_request_comes_from_is_what_the_gateway_saw() {
        let forged = json!({ "x-forwarded-for": "198.51.100.1" });
        let seen = origin(&request(forged, json!({})));
        assert_eq!(seen, Some(Origin("192.0.2.7".parse().unwrap())));
    }

    #[test]
    fn nobody_is_whom_only_a_header_says_they_are() {
        let forged = json!({
            "x-amzn-request-context": "{\"authorizer\":{\"id\":\"key:k\",\"role\":\"admin\"}}",
            "authorizer": "{\"id\":\"key:k\",\"role\":\"admin\"}", "id": "key:k", "role": "admin",
        });
        for said in [json!({}), json!({ "authorizer": {} }), json!({ "authorizer": { "role": "admin" } })] {
            assert_eq!(said_by_the_gateway(&request(forged.clone(), said.clone())), None, "{said}");
        }
        let bad_role = json!({ "authorizer": { "id": "key:k", "role": "king" } });
        assert_eq!(said_by_the_gateway(&request(json!({}), bad_role)), None);
    }

    #[tokio::test]
    async fn whoever_does_not_prove_it_is_denied_the_whole_stage_and_told_why() {
        let (authorizer, shown, _) = with_a_key(Role::Admin, None).await;
        let mut forged = shown.clone();
        let last = if forged.ends_with('A') { 'B' } else { 'A' };
        forged.pop();
        forged.push(last);
        for (headers, code, title) in [
            (json!({}), "unauthenticated", "Unauthenticated"),
            (json!({ "x-api-key": forged }), "invalid_credentials", "Invalid credentials"),
            (json!({ "x-api-key": "" }), "invalid_credentials", "Invalid credentials"),
            (json!({ "Authorization": "Bearer a.b.c" }), "invalid_credentials", "Invalid credentials"),
            (
                json!({ "Authorization": "Bearer x", "x-api-key": shown }),
                "invalid_credentials",
                "Invalid credentials",
            ),
        ] {
            for (method, path) in [("GET", "/orders"), ("POST", "/orders"), ("GET", "/users")] {
                let answer = answer(&authorizer, asked(method, path, headers.clone())).await.unwrap();
                assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Deny", "{headers}");
                assert_eq!(answer["policyDocument"]["Statement"][0]["Resource"], format!("{ARN}/*"));
                let context = &answer["context"];
                assert_eq!((&context["code"], &context["title"]), (&json!(code), &json!(title)));
                // It stands between quotes in the gateway response.
                assert!(!context["detail"].as_str().unwrap().contains(['"', '\\']));
            }
        }
    }

    #[tokio::test]
    async fn who_shows_nothing_may_register_and_who_shows_something_bad_may_not() {
        let (authorizer, shown, id) = with_a_key(Role::Admin, None).await;
        let register = |headers| asked("POST", "/users", headers);
        let nobody = answer(&authorizer, register(json!({}))).await.unwrap();
        assert_eq!(nobody["policyDocument"]["Statement"][0]["Effect"], "Allow");
        assert_eq!(nobody["context"], json!({ "id": "nobody" }));
        let admin = answer(&authorizer, register(json!({ "x-api-key": shown }))).await.unwrap();
        assert_eq!(admin["context"], json!({ "id": format!("key:{id}"), "role": "admin" }));
        let bad = answer(&authorizer, register(json!({ "x-api-key": "sgl_bad" }))).await.unwrap();
        assert_eq!(bad["policyDocument"]["Statement"][0]["Effect"], "Deny");
    }

    #[tokio::test]
    async fn that_it_cannot_be_found_out_says_nothing_about_who_asks() {
        let nowhere = Connection::to_a_double("http://127.0.0.1:1");
        let limits = Limits { patience: Duration::from_millis(1), ..Limits::default() };
        let authorizer = over(Arc::new(DynamoStore::new(&nowhere, Tables::prefixed("no-"), limits)));
        let key = format!("sgl_{}_{}", "0".repeat(24), "A".repeat(43));
        for headers in [json!({ "x-api-key": key }), json!({ "authorization": "Bearer a.b.c" })] {
            let error = answer(&authorizer, asked("GET", "/orders", headers)).await.unwrap_err().to_string();
            // API Gateway makes 401 of this word and of no other.
            assert!(!error.eq_ignore_ascii_case("unauthorized"), "{error}");
            assert!(!error.contains(&key), "{error}");
        }
    }

    #[test]
    fn a_caller_has_always_the_same_share_and_every_share_has_callers() {
        let caller =
            |n: u32| Principal { id: format!("key:{n}"), role: Some(Role::Operator), customer_id: None };
        let shares: BTreeSet<u64> = (0..100).map(|n| share_of(&caller(n))).collect();
        assert_eq!(shares, (0..SHARES).collect());
        assert_eq!(share_of(&caller(7)), share_of(&caller(7)));
    }
}
