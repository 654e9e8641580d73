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
