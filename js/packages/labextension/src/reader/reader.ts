/** The page's side of a model file: a worker reads it, the page fetches the bytes. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ServerConnection } from '@jupyterlab/services';
import type { ByteSource, Opened, Slice, Statistics, WeightInfo } from '@paoding/core/keras';
import {
  errorOf,
  type FromWorker,
  failureOf,
  type Question,
  type ToWorker,
} from '@paoding/core/keras/worker';
import { openUrl } from './source';
import program from './worker?inline';

/** No file that is shown takes longer; a worker that does is stuck. */
const PATIENCE_MS = 60_000;

export class Reader {
  private readonly worker: Worker;
  private readonly waiting = new Map<
    number,
    { done: (value: unknown) => void; failed: (error: Error) => void }
  >();
  private asked = 0;
  private silence = 0;

  private constructor(private readonly source: ByteSource) {
    const address = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }));
    this.worker = new Worker(address);
    URL.revokeObjectURL(address);
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.take(data);
    this.worker.onerror = ({ message }) => this.fail(new Error(message));
  }

  /** Opens a file of the server; what is wrong with it comes as a `FileError`. */
  static async open(app: JupyterFrontEnd, path: string): Promise<{ reader: Reader; file: Opened }> {
    const { contents, serverSettings } = app.serviceManager;
    const url = await contents.getDownloadUrl(path);
    const source = await openUrl(url, (address, headers) =>
      ServerConnection.makeRequest(address, { headers, cache: 'no-store' }, serverSettings),
    );
    const reader = new Reader(source);
    try {
      return { reader, file: (await reader.open(source.size)) as Opened };
    } catch (error) {
      reader.close();
      throw error;
    }
  }

  configuration(layer: number): Promise<string> {
    return this.ask('configuration', layer) as Promise<string>;
  }

  weights(layer: number): Promise<WeightInfo[]> {
    return this.ask('weights', layer) as Promise<WeightInfo[]>;
  }

  statistics(address: number): Promise<Statistics> {
    return this.ask('statistics', address) as Promise<Statistics>;
  }

  slice(address: number, at: number[]): Promise<Slice> {
    return this.ask('slice', address, at) as Promise<Slice>;
  }

  filters(address: number): Promise<Slice[]> {
    return this.ask('filters', address) as Promise<Slice[]>;
  }

  values(address: number): Promise<Float64Array> {
    return this.ask('values', address) as Promise<Float64Array>;
  }

  close(): void {
    this.worker.terminate();
    this.fail(new Error('The file was closed.'));
  }

  private open(size: number): Promise<unknown> {
    return this.await(0, { kind: 'open', size });
  }

  private ask(question: Question, ...values: unknown[]): Promise<unknown> {
    const id = ++this.asked;
    return this.await(id, { kind: 'ask', id, question, values });
  }

  private await(id: number, message: ToWorker): Promise<unknown> {
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed });
      this.worker.postMessage(message);
      this.watch();
    });
  }

  /** Every sign of life begins the patience anew. */
  private watch(): void {
    window.clearTimeout(this.silence);
    if (this.waiting.size === 0) return;
    this.silence = window.setTimeout(() => {
      this.worker.terminate();
      this.fail(new Error('The file takes too long to read.'));
    }, PATIENCE_MS);
  }

  private take(message: FromWorker): void {
    if (message.kind === 'read') void this.read(message.id, message.start, message.end);
    else {
      const { done, failed } = this.waiting.get(message.id) ?? {};
      this.waiting.delete(message.id);
      if (message.kind === 'answer') done?.(message.value);
      else failed?.(errorOf(message.failure));
    }
    this.watch();
  }

  private async read(id: number, start: number, end: number): Promise<void> {
    try {
      // A part of a whole file that is kept must stay with the page: only a copy may move.
      const bytes = (await this.source.read(start, end)).slice();
      this.worker.postMessage({ kind: 'bytes', id, bytes } satisfies ToWorker, [bytes.buffer]);
    } catch (error) {
      const failure = failureOf(error);
      this.worker.postMessage({ kind: 'bytes', id, bytes: null, failure } satisfies ToWorker);
    }
  }

  private fail(error: Error): void {
    window.clearTimeout(this.silence);
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }
}
