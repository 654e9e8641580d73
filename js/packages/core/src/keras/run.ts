/** The plan and the report of a run folder, checked: they are files like all others. */

import { FileError } from './archive';

export interface Removed {
  /** From 1. */
  step: number;
  group: string;
  unit: number;
  into: number | null;
  method: string;
}

export interface RunPlan {
  settings: Record<string, unknown>;
  steps: number;
  removed: Removed[];
}

interface Size {
  parameters: number;
  flops: number;
  bytes: number;
}

export interface RunReport {
  model: string;
  before: Size;
  after: Size;
  layers: { layer: string; units: number; left: number; reason: string }[];
  steps: {
    step: number;
    removed: number;
    progress: number;
    energy: number | null;
    seconds: number;
  }[];
  /** Least and greatest certified change of an output or of a score; null where there is none. */
  certificate: { lower: number; upper: number; scores: boolean } | null;
  /** Why there is none. */
  reason: string;
  /** Numbers of the evaluation and of the self-check, by their names. */
  measured: [string, number][];
}

const MOST_STEPS = 100_000;
const MOST_REMOVED = 5_000_000;
const MOST_MEASURED = 60;

type Json = Record<string, unknown>;

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function parsed(json: string, name: string): Json {
  try {
    return object(JSON.parse(json));
  } catch {
    throw new FileError("'%1' is damaged: it is no JSON.", name);
  }
}

export function parsePlan(json: string): RunPlan {
  const plan = parsed(json, 'plan.json');
  const steps = list(plan.steps);
  if (!Array.isArray(plan.steps) || typeof plan.fingerprint !== 'string') {
    throw new FileError('This is no plan of a pruning run.');
  }
  const removed = steps.flatMap((step, index) =>
    list(step).map((entry): Removed => {
      const { group, unit, into, method } = object(entry);
      if (typeof group !== 'string' || !Number.isInteger(unit)) {
        throw new FileError('Step %1 of the plan is damaged.', index + 1);
      }
      const heir = Number.isInteger(into) ? (into as number) : null;
      return { step: index + 1, group, unit: unit as number, into: heir, method: text(method) };
    }),
  );
  if (steps.length > MOST_STEPS || removed.length > MOST_REMOVED) {
    throw new FileError('The plan has more steps than any run takes.');
  }
  return { settings: object(plan.settings), steps: steps.length, removed };
}

function sizeOf(value: unknown): Size {
  const { parameters, flops, bytes } = object(value);
  return { parameters: number(parameters), flops: number(flops), bytes: number(bytes) };
}

export function parseReport(json: string): RunReport {
  const report = parsed(json, 'report.json');
  if (!Array.isArray(report.layers) || !Array.isArray(report.steps)) {
    throw new FileError('This is no report of a pruning run.');
  }
  const certificate = object(report.certificate);
  const told = certificate.scores ? object(certificate.scores) : certificate;
  const [lower, upper] = [list(told.lower).map(number), list(told.upper).map(number)];
  return {
    model: text(report.model),
    before: sizeOf(report.before),
    after: sizeOf(report.after),
    layers: report.layers.map(object).map((row) => ({
      layer: text(row.layer),
      units: number(row.units),
      left: number(row.left),
      reason: text(row.reason),
    })),
    steps: report.steps.map(object).map((row) => ({
      step: number(row.step),
      removed: number(row.removed),
      progress: number(row.progress),
      energy: typeof row.energy === 'number' ? row.energy : null,
      seconds: number(row.seconds),
    })),
    certificate:
      lower.length > 0 && upper.length > 0
        ? {
            lower: lower.reduce((least, value) => Math.min(least, value)),
            upper: upper.reduce((most, value) => Math.max(most, value)),
            scores: told !== certificate,
          }
        : null,
    reason: text(certificate.reason),
    measured: [...numbersIn(report.evaluation, ''), ...numbersIn(report.selfcheck, '')].slice(
      0,
      MOST_MEASURED,
    ),
  };
}

/** The numbers of a value with the names that lead to them. */
function numbersIn(value: unknown, name: string, depth = 0): [string, number][] {
  if (typeof value === 'number') return [[name, value]];
  if (typeof value !== 'object' || value === null || depth > 4) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    numbersIn(inner, name ? `${name} · ${key}` : key, depth + 1),
  );
}
