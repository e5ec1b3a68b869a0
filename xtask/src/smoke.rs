//! `cargo xtask smoke`: one order through a running system, from stock to money and back.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How long anything may take that is done after its answer: functions that start cold, a canary, a retry.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);
const SKU: &str = "SMOKE-TEST";
const CUSTOMER: &str = "smoke-test";

/// `smoke URL [--inventory URL]`: orders one unit, waits until the order is PAID, cancels it and waits until the unit
/// is back on the shelf, so that only the order is left. The first run registers what can be ordered. The key comes
/// from `SAGALINE_API_KEY`. On AWS the inventory has an API of its own.
///
/// # Errors
/// Whatever was not answered as it should be, or not in time.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    let (url, inventory) = match words {
        [url] => (*url, *url),
        [url, "--inventory", inventory] => (*url, *inventory),
        _ => bail!("smoke takes the URL of an API, then perhaps --inventory and the URL of the inventory's"),
    };
    let key = env::var("SAGALINE_API_KEY").ok();
    let smoke =
        Smoke { orders: Api::at(url, &key)?, inventory: Api::at(inventory, &key)?, patience: PATIENCE };
    let millis =
        SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_millis();
    smoke.test(&format!("smoke-{millis}"))
}

struct Smoke {
    orders: Api,
    inventory: Api,
    patience: Duration,
}

impl Smoke {
    fn test(&self, id: &str) -> anyhow::Result<()> {
        println!("--- order {id} through {}", self.orders.url);
        self.orders.insist("GET", "/readyz", None)?;
        self.inventory.insist("GET", "/readyz", None)?;

        let customer = json!({ "customer_id": CUSTOMER });
        let product =
            json!({ "product_id": SKU, "sku": SKU, "name": "Smoke test", "price": 1, "currency": "EUR" });
        self.orders.insist("POST", "/customers", Some(&customer))?;
        self.orders.insist("POST", "/products", Some(&product))?;
        // Others may smoke at the same time: each takes one, and puts it back.
        if self.available()? < 10 {
            let lot = json!({ "sku": SKU, "units": 10, "lot_id": id });
            self.inventory.insist("POST", "/inventory/restocks", Some(&lot))?;
        }
        self.wait("a unit is on the shelf", || {
            self.available().map(|units| (units >= 1, units.to_string()))
        })?;
        let before = self.available()?;

        let order =
            json!({ "order_id": id, "customer_id": CUSTOMER, "items": [{ "sku": SKU, "quantity": 1 }] });
        // An index of the catalogue may not know a new product for a moment.
        self.wait("the order is taken", || {
            let answer = self.orders.ask("POST", "/orders", Some(&order))?;
            Ok((answer.is_good(), answer.to_string()))
        })?;
        self.wait_for_status(id, "PAID")?;
        self.orders.insist("DELETE", &format!("/orders/{id}"), None)?;
        self.wait_for_status(id, "CANCELLED")?;
        self.wait("the unit is back on the shelf", || {
            self.available().map(|units| (units >= before, units.to_string()))
        })
    }

    fn available(&self) -> anyhow::Result<u64> {
        let answer = self.inventory.ask("GET", &format!("/inventory/skus/{SKU}"), None)?;
        match answer.status {
            200 => Ok(answer.body["available"].as_u64().unwrap_or(0)),
            404 => Ok(0),
            _ => bail!("{answer}"),
        }
    }

    fn wait_for_status(&self, id: &str, wanted: &str) -> anyhow::Result<()> {
        let path = format!("/orders/{id}");
        let reached = self.wait(&format!("the order is {wanted}"), || {
            let answer = self.orders.insist("GET", &path, None)?;
            let status = answer.body["status"].as_str().unwrap_or("without a status").to_owned();
            Ok((status == wanted, status))
        });
        reached.with_context(|| {
            // The events say how far it came; that they cannot be read is no better news.
            let events = self.orders.ask("GET", &format!("{path}/events"), None);
            let events = events.map_or_else(|error| error.to_string(), |answer| answer.body.to_string());
            format!("order {id} did not become {wanted}; its events: {events}")
        })
    }

    /// Asks until it is so; what it was instead is told when it takes too long.
    fn wait(
        &self,
        what: &str,
        mut ask: impl FnMut() -> anyhow::Result<(bool, String)>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let (is_so, instead) = ask().with_context(|| format!("failed to see whether {what}"))?;
            if is_so {
                println!("--- {what}: {} ms", began.elapsed().as_millis());
                return Ok(());
            }
            if began.elapsed() >= self.patience {
                bail!("after {} s it is not so that {what}: {instead}", self.patience.as_secs());
            }
            sleep(PAUSE.min(self.patience));
        }
    }
}

/// An API, spoken to by `curl`, which every runner and laptop has and which knows certificates.
pub struct Api {
    url: String,
    key: Option<String>,
}

/// What it answered.
pub struct Answer {
    asked: String,
    status: u16,
    /// JSON, or else a text.
    pub body: Value,
}

impl Answer {
    fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} was answered with {} {}", self.asked, self.status, self.body)
    }
}

impl Api {
    /// An API, and the key that is shown to it.
    ///
    /// # Errors
    /// A key that would be shown to whoever listens, or what is no URL or key.
    pub fn at(url: &str, key: &Option<String>) -> anyhow::Result<Api> {
        let local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|start| url.starts_with(start));
        if !local && !url.starts_with("https://") {
            bail!("{url} is neither https:// nor on this machine");
        }
        if !local && key.is_none() {
            bail!(
                "SAGALINE_API_KEY is not set; `sagaline key create` makes one, with --stack where there is none yet"
            );
        }
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
        if !is_plain(url) || !key.as_deref().is_none_or(is_plain) {
            bail!("the URL or SAGALINE_API_KEY holds what no URL and no key has");
        }
        Ok(Api { url: url.trim_end_matches('/').to_owned(), key: key.clone() })
    }

    /// Asks for what has to be answered.
    ///
    /// # Errors
    /// It is not, or refused.
    pub fn insist(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let answer = self.ask(method, path, body)?;
        if !answer.is_good() {
            bail!("{answer}");
        }
        Ok(answer)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let asked = format!("{method} {}{path}", self.url);
        let mut lines = vec![
            format!("url = \"{}{path}\"", self.url),
            format!("request = \"{method}\""),
            "header = \"content-type: application/json\"".to_owned(),
        ];
        lines.extend(self.key.iter().map(|key| format!("header = \"x-api-key: {key}\"")));
        lines.extend(body.map(|body| {
            format!("data = \"{}\"", body.to_string().replace('\\', "\\\\").replace('"', "\\\""))
        }));
        // Told by a pipe and not by words, which every user of the machine could read.
        let mut curl = Command::new("curl")
            .args(["--disable", "--silent", "--show-error", "--max-time", "20"])
            .args(["--write-out", "\n%{http_code}", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("install curl, then try again")?;
        curl.stdin.take().context("curl takes what it is told")?.write_all(lines.join("\n").as_bytes())?;
        let said = curl.wait_with_output()?;
        if !said.status.success() {
            bail!("{asked} was not answered: {}", String::from_utf8_lossy(&said.stderr).trim());
        }
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').context("curl says a status")?;
        let status = status.trim().parse().context("a status is a number")?;
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        Ok(Answer { asked, status, body })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use topology::{Parameters, Source, Topology};

    use super::*;
    use crate::root;

    /// A system of two APIs, as an account has them, where every order is what it is until it is cancelled, for as
    /// long as the test lives.
    fn system(status: &'static str) -> Smoke {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let api = |binary| Api::at(&serve(declared(binary), status, is_cancelled.clone()), &None).unwrap();
        Smoke { orders: api("oms-api"), inventory: api("ims-api"), patience: Duration::from_millis(200) }
    }

    /// The routes that the templates give a function.
    fn declared(binary: &str) -> Vec<(String, Vec<String>)> {
        let names = ["template-oms.yaml", "template-ims.yaml"];
        let texts = names.map(|name| fs::read_to_string(root().join(name)).unwrap());
        let sources = [0, 1].map(|at| Source { name: names[at], text: &texts[at] });
        let given: Parameters = [("Environment", "prod")].into_iter().collect();
        let topology = Topology::load(&sources, &given).unwrap();
        let routes = topology.function(binary).unwrap().routes.iter();
        routes.map(|route| (route.method.clone(), steps(&route.path))).collect()
    }

    fn steps(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    /// Answers what its template declares, as API Gateway does, and says that everything else is forbidden.
    fn serve(
        declared: Vec<(String, Vec<String>)>,
        status: &'static str,
        is_cancelled: Arc<AtomicBool>,
    ) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut request = [0; 4096];
                let length = connection.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let mut words = request.split_whitespace();
                let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let asked = steps(path);
                let fits = |template: &[String]| {
                    template.len() == asked.len()
                        && template.iter().zip(&asked).all(|(it, step)| it.starts_with('{') || it == step)
                };
                let is_declared = declared.iter().any(|(known, template)| known == method && fits(template));
                if method == "DELETE" {
                    is_cancelled.store(true, Ordering::Relaxed);
                }
                let status = if is_cancelled.load(Ordering::Relaxed) { "CANCELLED" } else { status };
                let (line, body) = match path {
                    _ if !is_declared => {
                        ("403 Forbidden", r#"{"message":"Missing Authentication Token"}"#.to_owned())
                    }
                    path if path.ends_with("/events") => {
                        ("200 OK", r#"{"events":["OrderPlaced"]}"#.to_owned())
                    }
                    path if path.starts_with("/orders/") => {
                        ("200 OK", json!({ "status": status }).to_string())
                    }
                    _ => ("200 OK", r#"{"available":1}"#.to_owned()),
                };
                let head = format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\nconnection: close", body.len());
                connection.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
            }
        });
        url
    }

    #[test]
    fn an_order_comes_to_its_end_through_nothing_but_the_routes_that_the_templates_declare() {
        system("PAID").test("smoke-1").unwrap();
    }

    #[test]
    fn an_order_that_stands_still_fails_in_time_and_shows_its_events() {
        let failure = format!("{:#}", system("PENDING").test("smoke-1").unwrap_err());
        assert!(failure.starts_with("order smoke-1 did not become PAID; its events: "), "{failure}");
        assert!(failure.contains("OrderPlaced") && failure.ends_with("PENDING"), "{failure}");
    }

    #[test]
    fn an_api_that_is_not_there_is_named() {
        let api = Api::at("http://127.0.0.1:9/", &None).unwrap();
        let failure = api.insist("GET", "/readyz", None).err().unwrap().to_string();
        assert!(failure.starts_with("GET http://127.0.0.1:9/readyz was not answered: "), "{failure}");
    }

    #[test]
    fn a_key_is_sent_over_https_or_on_this_machine_only() {
        let key = Some("secret".to_owned());
        assert!(Api::at("https://api.example", &key).is_ok());
        assert!(Api::at("https://api.example", &None).is_err());
        assert!(Api::at("http://api.example", &key).is_err());
        assert!(Api::at("http://localhost:3000", &key).is_ok());
        assert!(Api::at("https://api.example", &Some("a\"\nurl = \"file:///etc".to_owned())).is_err());
    }
}
