/** A file of the server, read in parts where the server can; the whole of it is never needed. */
import { type ByteSource, FileError } from '@paoding/core/keras';

/** A server that cannot send parts sends everything: up to here that is put up with. */
const MOST_WHOLE = 256 << 20;

type Fetch = (url: string, headers: Record<string, string>) => Promise<Response>;

/** Opens a file by its address. Parts that were read stay known, since readers ask in small bites. */
export async function openUrl(url: string, fetchPart: Fetch): Promise<ByteSource> {
  const ask = async (start: number, end: number): Promise<Response> => {
    const answer = await fetchPart(url, { Range: `bytes=${start}-${end - 1}` });
    if (!answer.ok) throw new FileError('The server does not give the file (%1).', answer.status);
    return answer;
  };
  const first = await ask(0, 1);
  const version = versionOf(first);
  const total = Number(/\/(\d+)$/.exec(first.headers.get('Content-Range') ?? '')?.[1]);
  if (first.status === 206 && Number.isFinite(total)) {
    return {
      size: total,
      read: async (start, end) => {
        if (end <= start) return new Uint8Array(0);
        const answer = await ask(start, Math.min(end, total));
        const bytes = new Uint8Array(await answer.arrayBuffer());
        // A part that is the whole file is sent as a whole, without saying which part it is.
        const told = /\/(\d+)$/.exec(answer.headers.get('Content-Range') ?? '')?.[1];
        if (Number(told ?? bytes.length) !== total || versionOf(answer) !== version) {
          throw new FileError('The file has changed while it was read: open it again.');
        }
        return told === undefined ? bytes.subarray(start, end) : bytes;
      },
    };
  }
  const length = Number(first.headers.get('Content-Length') ?? 0);
  if (length > MOST_WHOLE) {
    await first.body?.cancel();
    throw new FileError(
      'This server sends files only whole, and %1 MB are too many.',
      Math.round(length / (1 << 20)),
    );
  }
  const whole = await atMost(first, MOST_WHOLE);
  return { size: whole.length, read: async (start, end) => whole.subarray(start, end) };
}

/** What tells one content of a file from the next, as far as the server says it. */
function versionOf(answer: Response): string {
  return answer.headers.get('ETag') ?? answer.headers.get('Last-Modified') ?? '';
}

/** All bytes of an answer, given up where there are more than promised. */
async function atMost(answer: Response, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let total = 0;
  const reader = answer.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || !value) break;
    total += value.length;
    if (total > most) {
      await reader?.cancel();
      throw new FileError(
        'This server sends files only whole, and this one is too large for that.',
      );
    }
    pieces.push(value as Uint8Array<ArrayBuffer>);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
