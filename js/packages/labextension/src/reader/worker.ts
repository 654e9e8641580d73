/** The entry of the worker script; what it does is in `core/src/keras/worker.ts`. */
import { serve, type ToWorker } from '@paoding/core/keras/worker';

const receive = serve((message) => postMessage(message));
addEventListener('message', (event: MessageEvent<ToWorker>) => receive(event.data));
