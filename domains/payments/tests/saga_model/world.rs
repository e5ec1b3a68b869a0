//! The world of one seed: clients, an operator, a shelf, queues that keep no order, workers that die.

use events::{
    Event, EventName, OrderCancelled, OrderDelivered, OrderId, OrderLine, OrderPaymentAccepted, OrderPlaced,
    OrderShipped, PaidBy, Priority, RecordedEvent, SkuRestocked, Stamp, StreamKey, Timestamp, next_event_id,
};
use events::{ManualPaymentRecorded, Sku};
use payments::intent::{Intent, State};

use crate::given::{causes, customer_id, eur, event, lot, money, raw, sku, units};
use crate::log::{Appended, Item, Log};
use crate::rng::Rng;
use crate::workers::{Answer, Appending, Call, Message, Next, Task, listeners};
use crate::{Rule, verdict};

/// Peace comes after at most so many steps of storm.
const LONGEST_STORM: usize = 400;
/// Whatever is owed must be done within so many steps.
const LONGEST_PEACE: usize = 20_000;

pub struct World {
    rng: Rng,
    pub log: Log,
    pub orders: Vec<OrderPlaced>,
    pub intents: Vec<Intent>,
    queue: Vec<Message>,
    tasks: Vec<Task>,
    storm: bool,
    percent: Percent,
    /// Whether somebody writes raw events that claim decisions. Then less can be promised.
    pub forged: bool,
    appended: Vec<EventName>,
    made: usize,
    now: i64,
    dropped: Option<Rule>,
}

/// How often something goes wrong, or comes from outside.
#[derive(Clone, Copy)]
struct Percent {
    crash: u32,
    duplicate: u32,
    charge_fails: u32,
    asked: u32,
    /// How often the newest worker goes on while the others stand still.
    stall: u32,
}

/// Runs one seed; gives back the names of what was appended, or what was broken.
pub fn run(seed: u64, dropped: Option<Rule>) -> Result<Vec<EventName>, String> {
    let mut world = World::new(seed, dropped);
    world.run().map_err(|why| format!("seed {seed}: {why}\n{}", world.story()))?;
    Ok(world.appended)
}

impl World {
    fn new(seed: u64, dropped: Option<Rule>) -> Self {
        let mut rng = Rng::new(seed);
        let percent = Percent {
            crash: rng.one_of(&[0, 2, 10]),
            duplicate: rng.one_of(&[0, 20, 50]),
            charge_fails: rng.one_of(&[0, 30, 70, 95]),
            asked: rng.one_of(&[2, 6, 15]),
            stall: rng.one_of(&[0, 60, 90]),
        };
        let orders: Vec<_> = (1..=1 + rng.below(4)).map(|number| drawn_order(&mut rng, number)).collect();
        World {
            intents: vec![Intent::default(); orders.len()],
            log: Log::new(dropped),
            forged: dropped.is_none_or(|rule| rule == Rule::ForgedMovesNothing) && rng.happens(25),
            orders,
            percent,
            rng,
            storm: true,
            queue: Vec::new(),
            tasks: Vec::new(),
            appended: Vec::new(),
            made: 0,
            now: 1_700_000_000_000,
            dropped,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..self.rng.one_of(&[0, 4, 12, 20]) {
            self.restock()?;
        }
        for _ in 0..60 + self.rng.below(LONGEST_STORM - 60) {
            self.storm_step()?;
        }
        self.storm = false;
        for order in 0..self.orders.len() {
            self.place(order)?;
        }
        for _ in 0..LONGEST_PEACE {
            if self.is_idle() && !self.sweep() {
                return verdict::after(self);
            }
            self.step()?;
        }
        Err("something is still owed".to_owned())
    }

    fn storm_step(&mut self) -> Result<(), String> {
        let unplaced = self.orders.iter().position(|order| self.log.stream(&pk(&order.order_id)).is_empty());
        match (self.rng.below(100) as u32, unplaced) {
            (0..8, Some(order)) => self.place(order),
            (8..99, _) if self.rng.happens(self.percent.asked) => self.ask(),
            (99, _) if !self.tasks.is_empty() => {
                // The queue lost patience with a worker that is still busy.
                let busy = self.rng.below(self.tasks.len());
                self.queue.push(self.tasks[busy].message.clone());
                Ok(())
            }
            _ => self.step(),
        }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.tasks.is_empty()
    }

    /// A message is taken up, or a worker makes its next call.
    fn step(&mut self) -> Result<(), String> {
        self.now += self.rng.below(3) as i64;
        let takes_up = self.tasks.is_empty() || self.rng.happens(30);
        if takes_up && !self.queue.is_empty() {
            let message = self.queue.swap_remove(self.rng.below(self.queue.len()));
            self.tasks.push(Task::new(message, self.dropped));
            return Ok(());
        }
        if self.tasks.is_empty() {
            return Ok(());
        }
        let newest = self.tasks.len() - 1;
        let next = if self.rng.happens(self.percent.stall) { newest } else { self.rng.below(newest + 1) };
        let task = self.tasks.remove(next);
        self.advance(task)
    }

    fn crashes(&mut self) -> bool {
        self.storm && self.rng.happens(self.percent.crash)
    }

    /// One port call of a worker, which can die before it or between its effect and its answer.
    fn advance(&mut self, mut task: Task) -> Result<(), String> {
        if self.crashes() {
            return self.deliver_again(task.message);
        }
        let answer = self.perform(&task)?;
        if self.crashes() {
            return self.deliver_again(task.message);
        }
        match task.next(answer) {
            Next::Call(call) => {
                task.call = call;
                self.tasks.push(task);
                Ok(())
            }
            Next::Done => Ok(()),
            Next::Back => {
                self.queue.push(task.message);
                Ok(())
            }
            Next::Blocked if self.forged => Ok(()),
            Next::Impossible(why) => Err(why.to_owned()),
            Next::Blocked => Err(format!("nobody forged anything, and {} is blocked", task.message.about.pk)),
        }
    }

    fn deliver_again(&mut self, message: Message) -> Result<(), String> {
        if self.dropped != Some(Rule::DeliverAgain) {
            self.queue.push(message);
        }
        Ok(())
    }

    fn perform(&mut self, task: &Task) -> Result<Answer, String> {
        let order = self.orders.iter().position(|order| pk(&order.order_id) == *task.message.about.pk);
        Ok(match &task.call {
            Call::Read => {
                let mut events = self.log.stream(&task.message.about.pk);
                let middle = self.rng.below(events.len() + 1);
                events.rotate_left(middle);
                Answer::Events(events)
            }
            Call::Append(appending) => Answer::Appended(self.append_owed(task, appending)?),
            Call::Charge(claimed) => {
                let fails = self.storm && self.rng.happens(self.percent.charge_fails);
                let intent = &mut self.intents[order.ok_or("a charge of no order")?];
                Answer::Charge(intent.charge(claimed.amount, fails))
            }
            Call::Cancel => {
                let intent = &mut self.intents[order.ok_or("a cancelled charge of no order")?];
                let stays_open = self.dropped == Some(Rule::CancelIsFinal);
                Answer::Cancelled(if stays_open { intent.state == State::Charged } else { intent.cancel() })
            }
            Call::Refund => {
                self.intents[order.ok_or("a refund of no order")?].refund();
                Answer::Refunded
            }
        })
    }

    fn append_owed(&mut self, task: &Task, appending: &Appending) -> Result<Appended, String> {
        let Appending { event, counters, because_of, .. } = appending;
        let latest = task.read.iter().chain([because_of]).map(|item| item.event_id).max();
        let stamp = self.stamp(latest);
        let item = RecordedEvent::new(event.clone(), counters.clone(), stamp, because_of.causes_next());
        self.append(item)
    }

    /// A stamp by one of several clocks, none of which is right.
    fn stamp(&mut self, after: Option<events::Ulid>) -> Stamp {
        let now = Timestamp::from_millis(self.now - self.rng.below(40) as i64);
        let event_id = next_event_id(now, self.rng.bits(), after);
        Stamp { event_id, occurred_at: now, producer: "a worker".into() }
    }

    fn append(&mut self, item: RecordedEvent) -> Result<Appended, String> {
        let appended = self.log.append(item);
        if let Appended::Stored(item) = &appended {
            self.wake(item);
            verdict::at_once(self, item)?;
        } else {
            verdict::of_counters(self)?;
        }
        let late = std::mem::take(&mut self.log.late);
        if !late.is_empty() && !self.crashes() {
            self.log.move_counters(&late);
        }
        Ok(appended)
    }

    fn wake(&mut self, item: &Item) {
        let Ok(event) = item.event() else { return };
        self.appended.push(event.name());
        for worker in listeners(event, self.dropped) {
            let copies = 1 + usize::from(self.storm && self.rng.happens(self.percent.duplicate));
            let message = Message { to: worker, about: item.clone() };
            self.queue.extend(std::iter::repeat_n(message, copies));
        }
    }

    /// Nudges whoever owes something after raw events, which wake nobody for what they undo. An order
    /// that nobody forged anything of must end without it.
    fn sweep(&mut self) -> bool {
        if !self.forged {
            return false;
        }
        for order in &self.orders {
            let pk = pk(&order.order_id);
            let stream = self.log.stream(&pk);
            let Some(about) = stream.first() else { continue };
            let debtors = verdict::debtors(&stream);
            self.queue.extend(debtors.into_iter().map(|to| Message { to, about: about.clone() }));
        }
        !self.queue.is_empty()
    }

    /// A client, an operator or a stranger asks for something.
    fn ask(&mut self) -> Result<(), String> {
        let order = self.rng.below(self.orders.len());
        let order_id = self.orders[order].order_id.clone();
        if self.forged && self.rng.happens(40) {
            return self.forge(&order_id);
        }
        let text = String::new;
        let asked = match self.rng.below(17) {
            0 => return self.place(order),
            1..8 => Event::OrderCancelled(OrderCancelled { order_id, reason: text(), by: text() }),
            8..10 => Event::OrderShipped(OrderShipped { order_id, carrier: None, tracking: None }),
            10..12 => Event::OrderDelivered(OrderDelivered { order_id }),
            12..14 if self.dropped == Some(Rule::OnlyPaymentsSettlesPayments) => {
                let OrderPlaced { total: amount, currency, .. } = self.orders[order].clone();
                let (payment_id, by) = (text(), PaidBy::Operator);
                Event::OrderPaymentAccepted(OrderPaymentAccepted {
                    order_id,
                    payment_id,
                    amount,
                    currency,
                    by,
                })
            }
            12..14 => Event::ManualPaymentRecorded(ManualPaymentRecorded {
                order_id,
                by: text(),
                reference: text(),
            }),
            14..16 => return self.restock(),
            _ => return self.make_noise(&order_id),
        };
        self.append_asked(asked)
    }

    fn append_asked(&mut self, event: Event) -> Result<(), String> {
        let latest = self.log.stream(&event.stream().pk()).iter().map(|item| item.event_id).max();
        let stamp = self.stamp(latest);
        self.append(RecordedEvent::new(event, Vec::new(), stamp, causes())).map(drop)
    }

    fn place(&mut self, order: usize) -> Result<(), String> {
        self.append_asked(Event::OrderPlaced(self.orders[order].clone()))
    }

    /// A lot arrives; now and then the same one is announced again.
    fn restock(&mut self) -> Result<(), String> {
        if !self.rng.happens(20) {
            self.made += 1;
        }
        let sku = sku(SKUS[self.made % SKUS.len()]);
        let (lot_id, units) = (lot(&format!("lot-{}", self.made)), units(1 + (self.made % 5) as u64));
        self.append_asked(Event::SkuRestocked(SkuRestocked { sku, units, lot_id }))
    }

    /// What nobody knows or can read, under keys that are no slot. It must harm nothing.
    fn make_noise(&mut self, order_id: &OrderId) -> Result<(), String> {
        self.made += 1;
        let id = self.stamp(None).event_id.0;
        let (name, data) = self.rng.one_of(&[
            ("ORDER_RETRACTED_EVENT", "{}"),
            ("OrderCancelled", "{}"),
            ("OrderPaymentAccepted", r#"{"order_id":"order-9","amount":1,"currency":"EUR"}"#),
        ]);
        self.append(raw(&pk(order_id), &format!("noise-{}", self.made), name, data, id)).map(drop)
    }

    /// A raw event that claims a decision, under its slot or beside it, readable or not.
    fn forge(&mut self, order_id: &OrderId) -> Result<(), String> {
        self.made += 1;
        let id = self.stamp(None).event_id.0;
        let claim = event(self.rng.one_of(EventName::ALL));
        if !matches!(claim.stream(), StreamKey::Order(_)) {
            return Ok(());
        }
        let beside = format!("raw-{}", self.made);
        let sk = if self.rng.happens(50) { claim.slot().sk() } else { beside };
        let data = claim.to_data().replace("order-1", order_id.as_str());
        let data = if self.rng.happens(10) { "{}" } else { &data };
        self.append(raw(&pk(order_id), &sk, claim.name().as_str(), data, id)).map(drop)
    }

    /// The whole log, for whoever has to understand a failed seed.
    fn story(&self) -> String {
        let mut items: Vec<&Item> = self.log.all().collect();
        items.sort_by_key(|item| item.event_id);
        let lines: Vec<String> = items.iter().map(|item| format!("{item:?} {:?}", item.counters)).collect();
        format!("{}\n{:?}\n{:?}", lines.join("\n"), self.log.counters, self.intents)
    }
}

const SKUS: [&str; 3] = ["sku-a", "sku-b", "sku-c"];

/// Every SKU of the world.
pub fn skus() -> impl Iterator<Item = Sku> {
    SKUS.into_iter().map(sku)
}

/// The partition key of an order.
pub fn pk(order_id: &OrderId) -> String {
    StreamKey::Order(order_id.clone()).pk()
}

/// One to three lines of different SKUs; now and then a total that the gateway declines.
fn drawn_order(rng: &mut Rng, number: usize) -> OrderPlaced {
    let first = rng.below(SKUS.len());
    let lines = 1 + rng.below(SKUS.len());
    let mut drawn_line = |index: usize| OrderLine {
        sku: sku(SKUS[(first + index) % SKUS.len()]),
        quantity: units(1 + rng.below(3) as u64),
        unit_price: None,
        name: None,
    };
    let items = (0..lines).map(&mut drawn_line).collect();
    OrderPlaced {
        order_id: OrderId::recorded(&format!("order-{number}")).expect("a plain id"),
        customer_id: customer_id(),
        items,
        total: money(rng.one_of(&[4_500, 4_500, 4_500, 1, 9_999_999, 0, 10_000_000])),
        currency: eur(),
        priority: rng.one_of(&[Priority::Standard, Priority::Express]),
    }
}
