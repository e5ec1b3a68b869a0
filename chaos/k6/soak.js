// Whether it stays as it was: a moderate load for a long time. MINUTES=60 is an hour.

import { open, promises, steady, visit, wait } from './shop.js';
import exec from 'k6/execution';

const rate = Number(__ENV.RATE || 30);
const minutes = Number(__ENV.MINUTES || 10);

export const options = {
  scenarios: {
    soak: steady(rate, `${minutes}m`),
  },
  thresholds: { ...promises, dropped_iterations: ['count==0'] },
};

export function setup() {
  return open();
}

export default function (shop) {
  const id = visit(shop);
  if (exec.scenario.iterationInTest % 50 === 0) {
    wait(id);
  }
}
