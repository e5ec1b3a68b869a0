// What a sudden crowd does: ten times as many customers within seconds, and back. It may be slow then, but it loses
// nothing and answers each of them within half a minute.

import { always, open, visit } from './shop.js';

const calm = Number(__ENV.RATE || 30);

export const options = {
  scenarios: {
    spike: {
      executor: 'ramping-arrival-rate',
      startRate: calm,
      timeUnit: '1s',
      preAllocatedVUs: 100,
      maxVUs: 500,
      stages: [
        { duration: '10s', target: calm },
        { duration: '5s', target: calm * 10 },
        { duration: '15s', target: calm * 10 },
        { duration: '5s', target: calm },
        { duration: '10s', target: calm },
      ],
    },
  },
  thresholds: { ...always, 'http_req_duration{kind:crud}': ['max<30000'], orders_placed: ['count>0'] },
};

export function setup() {
  return open();
}

export default function (shop) {
  visit(shop);
}
