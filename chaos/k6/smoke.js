// Does it work at all: every kind of request once or twice, by one customer, in a few seconds.

import { cancel, history, list, open, place, promises, read, ship, stock, wait } from './shop.js';

export const options = {
  scenarios: { smoke: { executor: 'shared-iterations', vus: 1, iterations: 5, maxDuration: '60s' } },
  thresholds: promises,
};

export function setup() {
  return open();
}

export default function (shop) {
  const shipped = place(shop);
  wait(shipped);
  read(shipped);
  history(shipped);
  ship(shipped);
  const cancelled = place(shop, '-b');
  wait(cancelled);
  cancel(cancelled);
  list(shop);
  stock(shop);
}
