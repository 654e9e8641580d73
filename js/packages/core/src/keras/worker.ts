/** What a worker does with a model file: parses, and asks the page for the bytes that it needs. */

import { FileError } from './archive';
import { ModelFile } from './file';

/** What may be asked of an open file. */
export type Question = 'configuration' | 'weights' | 'statistics' | 'slice' | 'filters' | 'values';

export type ToWorker =
  | { kind: 'open'; size: number }
  | { kind: 'ask'; id: number; question: Question; values: unknown[] }
  | { kind: 'bytes'; id: number; bytes: Uint8Array | null; failure?: Failure };

export type FromWorker =
  | { kind: 'read'; id: number; start: number; end: number }
  | { kind: 'answer'; id: number; value: unknown }
  | { kind: 'failed'; id: number; failure: Failure };

/** An error as it travels: its sentence for readers, or what went wrong for all others. */
export interface Failure {
  template: string;
  values: (string | number)[];
  known: boolean;
}

export function failureOf(error: unknown): Failure {
  const known = error instanceof FileError;
  return known
    ? { template: error.template, values: error.values, known }
    : { template: String(error), values: [], known };
}

export function errorOf({ template, values, known }: Failure): Error {
  return known ? new FileError(template, ...values) : new Error(template);
}

/** Answers on a channel, such as a worker's; opening is question number 0. */
export function serve(send: (message: FromWorker) => void): (message: ToWorker) => void {
  const waiting = new Map<number, { done: (b: Uint8Array) => void; failed: (e: Error) => void }>();
  let reads = 0;
  let file: Promise<ModelFile> | null = null;
  const read = (start: number, end: number): Promise<Uint8Array> =>
    new Promise((done, failed) => {
      waiting.set(++reads, { done, failed });
      send({ kind: 'read', id: reads, start, end });
    });
  const answer = (id: number, value: Promise<unknown>): void => {
    value.then(
      (found) => send({ kind: 'answer', id, value: found }),
      (error: unknown) => send({ kind: 'failed', id, failure: failureOf(error) }),
    );
  };
  return (message) => {
    if (message.kind === 'open') {
      file = ModelFile.open({ size: message.size, read });
      answer(
        0,
        file.then(({ opened }) => opened),
      );
    } else if (message.kind === 'ask') {
      answer(message.id, ask(file, message.question, message.values));
    } else {
      const { done, failed } = waiting.get(message.id) ?? {};
      waiting.delete(message.id);
      if (message.bytes) done?.(message.bytes);
      else failed?.(errorOf(message.failure ?? failureOf('no bytes')));
    }
  };
}

async function ask(
  file: Promise<ModelFile> | null,
  question: Question,
  [what, more]: unknown[],
): Promise<unknown> {
  const opened = await file;
  if (!opened) throw new Error('No file is open.');
  const number = Number(what);
  switch (question) {
    case 'configuration':
      return opened.configuration(number);
    case 'weights':
      return opened.weights(number);
    case 'statistics':
      return opened.statistics(number);
    case 'slice':
      return opened.slice(number, Array.isArray(more) ? more.map(Number) : []);
    case 'values':
      return opened.values(number);
    case 'filters':
      return opened.filters(number);
  }
}
