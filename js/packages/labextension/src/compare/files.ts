/** Texts of a run folder, read from the server up to a size that any run has. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PathExt } from '@jupyterlab/coreutils';
import { FileError } from '@paoding/core/keras';

const MOST_BYTES = 64 << 20;

export async function textOf(app: JupyterFrontEnd, path: string): Promise<string> {
  const { contents } = app.serviceManager;
  const { size } = await contents.get(path, { content: false });
  if ((size ?? 0) > MOST_BYTES) {
    throw new FileError("'%1' has %2 MB: too many.", PathExt.basename(path), (size ?? 0) >> 20);
  }
  const { content } = await contents.get(path, { type: 'file', format: 'text', content: true });
  return String(content);
}
