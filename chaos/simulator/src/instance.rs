//! What an account would run: the API and the workers, over the simulated ports.

use std::sync::Arc;

use apis::access::{Access, Guard};
use apis::limits::Limits;
use apis::{Api, Environment};
use auth::{Authenticator, CURSORS, SharedSecret};
use axum::Router;
use event_store::Stamper;
use workers::{FakeGateway, Gateway, Workers};

use crate::clock::Clock;
use crate::gateway::OutsideGateway;
use crate::ports::Ports;

/// One instance of every function, each with a clock of its own.
pub(crate) struct Instance {
    pub(crate) workers: Arc<Workers>,
    pub(crate) router: Router,
}

impl Instance {
    pub(crate) fn new(ports: &Ports, built_in: bool, seed: u64) -> Instance {
        let sim = &ports.sim;
        let clock = |name: &str| -> Arc<dyn Stamper> { Arc::new(Clock::drawn(sim, name)) };
        let shared = Arc::new(ports.clone());
        let gateway: Arc<dyn Gateway> = if built_in {
            let failure_share = f64::from(sim.core().swarm.gateway_failures);
            Arc::new(FakeGateway { intents: shared.clone(), failure_share, seed })
        } else {
            Arc::new(OutsideGateway { ports: ports.clone() })
        };
        let workers = workers::Ports {
            log: crate::planted::log(&shared),
            orders: shared.clone(),
            catalog: shared.clone(),
            gateway: crate::planted::gateway(&shared, gateway),
        };
        let stamper = clock("oms-api");
        let api = Api {
            log: crate::planted::log(&shared),
            orders: crate::planted::orders(&shared),
            stock: shared.clone(),
            catalog: crate::planted::catalog(&shared),
            kept: crate::planted::kept(&shared),
            access: access(&shared, stamper.clone()),
            pause: shared.clone(),
            stamper,
            environment: Environment::Dev,
        };
        Instance { workers: Arc::new(Workers::new(&workers, clock)), router: apis::router(Arc::new(api)) }
    }
}

/// Who may ask. In most worlds nobody is asked who they are.
fn access(ports: &Arc<Ports>, clock: Arc<dyn Stamper>) -> Access {
    let asks_who = ports.sim.core().swarm.asks_who;
    let keys = crate::planted::keys(ports);
    let authenticator = Authenticator::new(ports.clone(), keys, ports.clone(), clock);
    Access {
        guard: if asks_who { Guard::Here } else { Guard::Open },
        authenticator: Arc::new(authenticator),
        users: ports.clone(),
        keys: ports.clone(),
        tries: ports.clone(),
        cursors: Arc::new(SharedSecret::new(ports.clone(), CURSORS)),
        limits: Arc::new(Limits::new(None)),
    }
}
