/** Result of a benchmark, for the page and for programs. */
export interface Benchmark {
  /** Markdown: description, and the table of docs/benchmarks.md. */
  readonly text: string;
  /** The same with every run, for `--json`; times have their unit in their name. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}
