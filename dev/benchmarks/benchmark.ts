/** What a benchmark gives: for the page, and for programs. */
export interface Benchmark {
  /** Markdown: what was run, and the table of docs/benchmarks.md. */
  readonly text: string;
  /** The same with every run, as `--json` prints it; times have their unit in their name. */
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}
