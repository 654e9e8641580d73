/** How a studio tells the page that it is in how its run goes, whether or not its cell is in sight. */

export interface RunNews {
  /** Tells one studio from another. */
  id: string;
  /** Text from a model, never to be read as HTML. */
  name: string;
  state: 'ready' | 'running' | 'paused' | 'finished' | 'stopped' | 'failed' | 'gone';
  message: string;
  error: string;
  /** Share of the run that is done, 0 to 1. */
  progress: number;
  press(action: 'start' | 'pause' | 'stop'): void;
}

/** The name of the event on the window; its `detail` is a `RunNews`. */
export const RUN_EVENT = 'paoding:run';

export function tellPage(news: RunNews): void {
  window.dispatchEvent(new CustomEvent<RunNews>(RUN_EVENT, { detail: news }));
}
