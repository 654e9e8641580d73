/** Asks a kernel which Keras models are alive in it, without a trace, and understands the answer. */
import type { Kernel, KernelMessage } from '@jupyterlab/services';

export interface LiveModel {
  variable: string;
  type: string;
  name: string;
  parameters: number;
  bytes: number;
  built: boolean;
}

// One expression, so that no name is bound. Only modules that are loaded already are used, and
// built-ins by their own names, since a notebook may have given these to something else.
const EXPRESSION = `(lambda b, m: b.repr(None) if m.get('keras') is None else m['json'].dumps([
  [n, b.type(v).__name__, b.str(v.name), b.bool(v.built),
   b.sum(m['math'].prod(w.shape) for w in v.weights),
   b.sum(m['math'].prod(w.shape) * {'float64': 8, 'int64': 8, 'uint64': 8, 'float16': 2,
     'bfloat16': 2, 'int16': 2, 'int8': 1, 'uint8': 1, 'bool': 1}.get(b.str(w.dtype), 4)
     for w in v.weights)]
  for n, v in b.list(b.globals().items())
  if not n.startswith('_') and b.isinstance(v, b.getattr(m['keras'], 'Model', ()))
]).encode().hex())(__import__('builtins'), __import__('sys').modules)`.replace(/\n\s*/g, ' ');

/** Numbers of the requests that are ours: the idle that follows them says nothing new. */
const own = new Set<string>();
const MOST_OWN = 100;

/** The models in a kernel; null where Keras is not loaded there. */
export async function liveModels(kernel: Kernel.IKernelConnection): Promise<LiveModel[] | null> {
  const future = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    allow_stdin: false,
    user_expressions: { models: EXPRESSION },
  });
  own.add(future.msg.header.msg_id);
  if (own.size > MOST_OWN) own.delete(own.values().next().value ?? '');
  const { content } = await future.done;
  if (content.status !== 'ok') throw new Error(`The kernel answered '${content.status}'.`);
  return understand(content.user_expressions?.models as Answer | undefined);
}

interface Answer {
  status?: string;
  evalue?: string;
  data?: Record<string, unknown>;
}

/** What the expression's value says. Hexadecimal digits: nothing needs to be unquoted. */
export function understand(answer: Answer | undefined): LiveModel[] | null {
  if (answer?.status !== 'ok') throw new Error(String(answer?.evalue ?? 'no answer'));
  const text = String(answer.data?.['text/plain'] ?? '').replace(/^'|'$/g, '');
  if (text === 'None') return null;
  const bytes = Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const rows = JSON.parse(new TextDecoder().decode(bytes)) as unknown[][];
  return rows.map(([variable, type, name, built, parameters, size]) => ({
    variable: String(variable),
    type: String(type),
    name: String(name),
    built: built === true,
    parameters: Number(parameters),
    bytes: Number(size),
  }));
}

/** Whether a message says that a cell, of whomever, has ended: but not our own question. */
export function cellEnded(message: KernelMessage.IMessage): boolean {
  const parent = message.parent_header;
  return (
    message.header.msg_type === 'status' &&
    (message.content as { execution_state?: string }).execution_state === 'idle' &&
    'msg_type' in parent &&
    parent.msg_type === 'execute_request' &&
    !own.has(parent.msg_id)
  );
}
