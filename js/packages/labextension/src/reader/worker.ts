/** Runs in a worker: reads model files, so that the page stays responsive whatever is in them. */
import { serve, type ToWorker } from '@paoding/core/keras/worker';

const receive = serve((message) => postMessage(message));
addEventListener('message', (event: MessageEvent<ToWorker>) => receive(event.data));
