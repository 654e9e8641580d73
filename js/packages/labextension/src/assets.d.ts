/** An SVG file imported as its text, see build.mjs. */
declare module '*.svg' {
  const text: string;
  export default text;
}

/** A style sheet imported as its text, see build.mjs. */
declare module '*.css' {
  const text: string;
  export default text;
}
declare module '*?inline' {
  /** A module and all that it imports, as the text of a script. */
  const script: string;
  export default script;
}

/** The notebooks of `notebooks/lessons`, see build.mjs. */
declare module 'paoding:lessons' {
  interface Lesson {
    /** The file's name, such as "1-what-is-a-unit.ipynb". */
    name: string;
    /** The first heading, such as "1. What is a unit, and what happens when one goes?". */
    title: string;
    load(): Promise<{ default: Record<string, unknown> & { metadata: Record<string, unknown> } }>;
  }
  export const lessons: Lesson[];
}
