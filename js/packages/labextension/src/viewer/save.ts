/** Hands a text to the reader through the clipboard. */
import { Clipboard } from '@jupyterlab/apputils';

export function copy(text: string): void {
  Clipboard.copyToSystem(text);
}
