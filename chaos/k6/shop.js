// What every load has in common: a shop with enough of everything, what its customers do, and what is promised them.

import http from 'k6/http';
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import exec from 'k6/execution';

const url = __ENV.SAGALINE_URL || 'http://127.0.0.1:3000';
const products = 20;

// Orders that were answered with 201: each of them must be in the log when the load is over.
export const placed = new Counter('orders_placed');
// From the answer of 201 until the order is open no longer, in milliseconds, where somebody waited for it.
export const settled = new Trend('time_to_settle', true);

// However many come: nobody is refused, and every answer is what it should be.
export const always = {
  checks: ['rate==1'],
  http_req_failed: ['rate==0'],
};

// On an ordinary day, requests that create, read, update and delete are answered within 300 ms for 95 of 100.
export const promises = { ...always, 'http_req_duration{kind:crud}': ['p(95)<300'] };

// So many customers a second, for a while, whether or not the server keeps up.
export function steady(rate, duration) {
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration,
    preAllocatedVUs: 50,
    maxVUs: 200,
  };
}

function ask(method, path, body, more) {
  const headers = { 'content-type': 'application/json', ...(more || {}).headers };
  if (__ENV.SAGALINE_API_KEY) {
    headers['x-api-key'] = __ENV.SAGALINE_API_KEY;
  }
  const tags = { kind: 'crud', name: `${method} ${path.replace(/k6-[^/]*/, '{id}')}`, ...(more || {}).tags };
  return http.request(method, url + path, body ? JSON.stringify(body) : null, { headers, tags });
}

function expect(answer, statuses, what) {
  check(answer, { [what]: (answer) => statuses.includes(answer.status) });
  return answer;
}

// A customer and products of a run's own, each with a million units.
export function open() {
  const run = `k6-${Date.now().toString(36)}`;
  expect(ask('POST', '/customers', { customer_id: `${run}-c`, name: 'Load' }), [201], 'a customer is registered');
  for (let n = 0; n < products; n++) {
    const sku = `${run}-s${n}`;
    const product = { product_id: sku, sku, name: `Product ${n}`, price: 2.5 };
    expect(ask('POST', '/products', product), [201], 'a product is listed');
    const lot = { sku, units: 1000000, lot_id: 'lot-1' };
    expect(ask('POST', '/inventory/restocks', lot), [202], 'a lot is taken');
  }
  return { run };
}

// Places an order of one or two products, under an id that no other iteration takes; who places a second one in an
// iteration gives it a suffix.
export function place({ run }, suffix) {
  const n = exec.scenario.iterationInTest;
  const id = `${run}-o${n}${suffix || ''}`;
  const items = [{ sku: `${run}-s${n % products}`, quantity: 1 }];
  if (n % 3 === 0) {
    items.push({ sku: `${run}-s${(n + 1) % products}`, quantity: 2 });
  }
  const priority = n % 10 === 0 ? 'express' : 'standard';
  const answer = ask('POST', '/orders', { order_id: id, customer_id: `${run}-c`, items, priority });
  if (expect(answer, [201], 'an order is accepted').status === 201) {
    placed.add(1);
  }
  return id;
}

// Waits, up to five seconds, until an order has settled.
export function wait(id) {
  const began = Date.now();
  const answer = ask('GET', `/orders/${id}`, null, { headers: { prefer: 'wait=5' }, tags: { kind: 'wait' } });
  check(answer, { 'an order settles within five seconds': (answer) => answer.json('open') === false });
  settled.add(Date.now() - began);
  return answer;
}

export function read(id) {
  return expect(ask('GET', `/orders/${id}`), [200], 'an order is read');
}

export function list({ run }) {
  return expect(ask('GET', `/customers/${run}-c/orders?limit=20`), [200], 'orders are listed');
}

export function history(id) {
  return expect(ask('GET', `/orders/${id}/events`), [200], 'events are read');
}

export function stock({ run }) {
  return expect(ask('GET', `/inventory/skus/${run}-s0`), [200], 'stock is read');
}

export function ship(id) {
  return expect(ask('PATCH', `/orders/${id}`, { status: 'SHIPPED' }), [200], 'a paid order is shipped');
}

export function cancel(id) {
  return expect(ask('DELETE', `/orders/${id}`), [200], 'an order is cancelled');
}

// What one customer does in a while: places an order, looks at it and at what else there is, and of ten one cancels.
export function visit(shop) {
  const id = place(shop);
  read(id);
  list(shop);
  stock(shop);
  if (exec.scenario.iterationInTest % 10 === 5) {
    cancel(id);
  }
  return id;
}
