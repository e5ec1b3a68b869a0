// How fast it is on an ordinary day: a steady stream of customers, the same on every run, so that runs can be compared.

import { open, promises, ship, steady, visit, wait } from './shop.js';
import exec from 'k6/execution';

const rate = Number(__ENV.RATE || 100);
const seconds = Number(__ENV.SECONDS || 30);

export const options = {
  scenarios: {
    baseline: steady(rate, `${seconds}s`),
  },
  thresholds: {
    ...promises,
    // A load that did not arrive says nothing.
    dropped_iterations: ['count==0'],
    time_to_settle: ['p(95)<5000'],
  },
  summaryTrendStats: ['avg', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
};

export function setup() {
  return open();
}

export default function (shop) {
  const id = visit(shop);
  // Waiting for every order would make waiting the load.
  if (exec.scenario.iterationInTest % 20 === 0) {
    if (wait(id).json('status') === 'PAID') {
      ship(id);
    }
  }
}
