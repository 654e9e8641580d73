import { expect, test } from 'vitest';
import { openUrl } from './source';

/** A server with one file, that answers for ranges, or only with the whole. */
function server(content: () => string, parts = true) {
  return async (_: string, headers: Record<string, string>): Promise<Response> => {
    const bytes = new TextEncoder().encode(content());
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(headers.Range ?? '') ?? [];
    if (!parts) return new Response(bytes, { headers: { 'Content-Length': String(bytes.length) } });
    const end = Math.min(Number(to) + 1, bytes.length);
    return new Response(bytes.slice(Number(from), end), {
      status: 206,
      headers: { ETag: content(), 'Content-Range': `bytes ${from}-${end - 1}/${bytes.length}` },
    });
  };
}

test('parts are read where the server sends parts, the whole where it does not', async () => {
  for (const parts of [true, false]) {
    const source = await openUrl(
      '/x',
      server(() => 'abcdefgh', parts),
    );
    expect(source.size).toBe(8);
    expect(new TextDecoder().decode(await source.read(2, 5))).toBe('cde');
  }
});

test('a file that changes while it is open is told to have changed', async () => {
  let content = 'abcdefgh';
  const source = await openUrl(
    '/x',
    server(() => content),
  );
  await source.read(0, 2);
  content = 'ABCDEFGH';
  await expect(source.read(2, 4)).rejects.toThrow(/has changed while it was read/);
});

test('a file that the server does not give is told so', async () => {
  const gone = async () => new Response('', { status: 404 });
  await expect(openUrl('/x', gone)).rejects.toThrow(/does not give the file \(404\)/);
});
