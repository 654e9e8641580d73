/** Runs in a worker: reads the log of candidates of a run, a Parquet file, and gives its rows. */
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import type { Answer } from './decisions';

/** Rows that are shown; a log of more is read by a notebook. */
const MOST_ROWS = 100_000;
/** The table's columns and a few of a user's own strategy. */
const MOST_COLUMNS = 64;

async function read(bytes: ArrayBuffer): Promise<Answer> {
  const file = {
    byteLength: bytes.byteLength,
    slice: (start: number, end?: number) => bytes.slice(start, end),
  };
  const metadata = await parquetMetadataAsync(file);
  if (metadata.schema.length > MOST_COLUMNS) throw new Error('it has too many columns');
  const count = Number(metadata.num_rows);
  const rows = await parquetReadObjects({ file, metadata, rowEnd: Math.min(count, MOST_ROWS) });
  const numbers = (name: string): Float64Array =>
    Float64Array.from(rows, (row) => (row[name] == null ? Number.NaN : Number(row[name])));
  const texts = (name: string): string[] => rows.map((row) => String(row[name] ?? ''));
  return {
    count,
    step: numbers('step'),
    unit: numbers('unit'),
    into: numbers('into'),
    // Until 0.2 importance was called saliency there.
    importance: numbers(rows[0] && 'saliency' in rows[0] ? 'saliency' : 'importance'),
    energy: numbers('energy'),
    probability: numbers('probability'),
    group: texts('group'),
    verdict: texts('verdict'),
    reason: texts('reason'),
  };
}

addEventListener('message', ({ data }: MessageEvent<ArrayBuffer>) => {
  read(data).then(
    (answer) => postMessage(answer),
    (error: unknown) => postMessage(String(error)),
  );
});
