/** Texts in the reader's language: a page that has a translator hands it in. */

/** Says a text; `%1`, `%2` and so on stand for values. */
export type Say = (text: string, ...values: (string | number)[]) => string;

/** As it is written, in English. */
export const plain: Say = (text, ...values) =>
  text.replace(/%(\d)/g, (_, place) => String(values[place - 1] ?? ''));
