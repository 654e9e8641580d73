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
