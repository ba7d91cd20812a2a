/** Timestamps of log lines. Pure. */

const CLOCK = String.raw`(\d\d:\d\d:\d\d)(?:[.,](\d+))?`;
/** Dynamo (Rust's tracing) and nginx's access log: `2026-11-24T22:16:45.230954Z`, `2026-11-24T22:32:06+00:00`. */
const ISO = new RegExp(String.raw`^(\d{4}-\d\d-\d\d)T${CLOCK}(Z|[+-]\d\d:?\d\d)`);
/** etcd (zap): `{"level":"info","ts":"2026-11-24T22:16:41.201Z",…`. */
const ZAP = /^\{.*?"ts":"([^"]+)"/;
/** NATS and nginx's error log, by the node's clock: `[24290] 2026/11/24 22:16:40.986387 [INF]`, `2026/11/24 22:16:40 [error]`. */
const SLASHES = new RegExp(String.raw`^(?:\[\d+\] )?(\d{4})/(\d\d)/(\d\d) ${CLOCK}`);
/** Python's logging and SGLang, by the node's clock: `2026-11-24 22:16:45,123`, `[2026-11-24 22:16:45 TP0]`. */
const DASHES = new RegExp(String.raw`^\[?(?:[A-Z]+ )?(\d{4})-(\d\d)-(\d\d) ${CLOCK}`);
/** vLLM, without a year: `INFO 11-24 22:16:45 [api_server.py:1]`, `(EngineCore pid=1) INFO 11-24 …`. */
const YEARLESS = new RegExp(String.raw`^(?:\([^)]*\) )?[A-Z]+ (\d\d)-(\d\d) ${CLOCK}`);

const DAY_MS = 86_400_000;

/** What is needed to parse timestamps in a node's local time. */
export interface NodeClock {
  /** Offset of the node's time zone, east of UTC. */
  readonly offsetSeconds: number;
  /** Milliseconds since 1970: supplies the year of lines without one. */
  readonly now: number;
}

/** Milliseconds since 1970, with fractions; undefined for a line without a timestamp. */
export function timeOf(line: string, clock: NodeClock): number | undefined {
  const zap = ZAP.exec(line)?.[1];
  const iso = ISO.exec(zap ?? line);
  if (iso !== null) {
    const [, day = "", time = "", fraction = "", zone = ""] = iso;
    const whole = Date.parse(
      `${day}T${time}${zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone}`,
    );
    return valid(whole + milliseconds(fraction));
  }
  const written = SLASHES.exec(line) ?? DASHES.exec(line);
  if (written !== null) {
    const [, year = "", month = "", day = "", time = "", fraction = ""] = written;
    return local(`${year}-${month}-${day}T${time}`, fraction, clock);
  }
  return withoutYear(line, clock);
}

function withoutYear(line: string, clock: NodeClock): number | undefined {
  const match = YEARLESS.exec(line);
  if (match === null) return undefined;
  const [, month = "", day = "", time = "", fraction = ""] = match;
  const year = new Date(clock.now + clock.offsetSeconds * 1000).getUTCFullYear();
  const at = local(`${year}-${month}-${day}T${time}`, fraction, clock);
  // A line from December, read in January.
  if (at !== undefined && at > clock.now + DAY_MS)
    return local(`${year - 1}-${month}-${day}T${time}`, fraction, clock);
  return at;
}

function local(text: string, fraction: string, { offsetSeconds }: NodeClock): number | undefined {
  return valid(Date.parse(`${text}Z`) - offsetSeconds * 1000 + milliseconds(fraction));
}

function milliseconds(fraction: string): number {
  return fraction === "" ? 0 : Number(`0.${fraction}`) * 1000;
}

function valid(time: number): number | undefined {
  return Number.isNaN(time) ? undefined : time;
}
