/** Dashboard of the load distribution: the router and each worker. */
import { SERIES } from "../../plan/metrics/series";
import { type Dashboard, mean, type Panel, quantile, quantiles, type Row, rate, select, sum } from "./panels";
import { hitRatePanel } from "./service";

const { registered, activeBlocks, activePrefill, pending, overhead, eventsApplied, totalBlocks, roundtrip } =
  SERIES;
const {
  workerRequests,
  workerInflight,
  workerDuration,
  workerCancelled,
  workerQueue,
  firstResponse,
  uptime,
  eventsDropped,
} = SERIES;

const WORKER = ["program"];
/** Workers have other endpoints too, for the router's own queries. */
const SERVING = { dynamo_endpoint: "generate" };

export function workersDashboard(): Dashboard {
  return {
    uid: "dynamo-workers",
    title: "Dynamo: router and workers",
    about: "How requests are shared out among the workers, and what each worker is at.",
    rows: [routerRow(), { title: "Workers", panels: workerPanels() }],
  };
}

function routerRow(): Row {
  const fill = `max by (worker_type, worker_id) (${select(activeBlocks.name)}) / scalar(max(${select(totalBlocks.name)}))`;
  const worker = "{{worker_type}} {{worker_id}}";
  return {
    title: "Router",
    panels: [
      hitRatePanel(),
      {
        title: "Registered workers",
        about: "That the router knows, by type; an aggregated one is of type decode.",
        unit: "short",
        queries: [
          { expr: `count by (worker_type) (${select(registered.name)} == 1)`, legend: "{{worker_type}}" },
        ],
        series: [registered],
      },
      {
        title: "KV cache in use",
        about: "Blocks of the requests that a worker is at, of all that it has, as the router counts them.",
        unit: "percentunit",
        queries: [{ expr: fill, legend: worker }],
        series: [activeBlocks, totalBlocks],
      },
      {
        title: "Prompt tokens in progress",
        about: "By worker, as the router counts them: the load it shares out.",
        unit: "short",
        queries: [
          { expr: `max by (worker_type, worker_id) (${select(activePrefill.name)})`, legend: worker },
        ],
        series: [activePrefill],
      },
      {
        title: "Held back",
        about: "Requests that the router keeps until a worker has room (`router.queueThreshold`).",
        unit: "short",
        queries: [{ expr: sum(pending, ["worker_type"]), legend: "{{worker_type}}" }],
        series: [pending],
      },
      {
        title: "Choosing a worker",
        about: "What the router takes for it.",
        unit: "ms",
        queries: quantiles(overhead),
        series: [overhead],
      },
      {
        title: "KV events",
        about:
          "Taken in per second, by kind. Any status but ok means that the router's picture of the caches is wrong.",
        unit: "cps",
        queries: [
          { expr: rate(eventsApplied, ["event_type", "status"]), legend: "{{event_type}} {{status}}" },
        ],
        series: [eventsApplied],
      },
      {
        title: "KV events lost",
        about: "By worker, before they were published.",
        unit: "cps",
        queries: [{ expr: rate(eventsDropped, WORKER), legend: "{{program}}" }],
        series: [eventsDropped],
      },
    ],
  };
}

function workerPanels(): Panel[] {
  const legend = "{{program}}";
  return [
    {
      title: "Requests",
      about: "Answered per second, by worker.",
      unit: "reqps",
      queries: [{ expr: rate(workerRequests, WORKER, SERVING), legend }],
      series: [workerRequests],
    },
    {
      title: "In progress",
      about: "Requests that each worker is at.",
      unit: "short",
      queries: [{ expr: sum(workerInflight, WORKER, SERVING), legend }],
      series: [workerInflight],
    },
    {
      title: "Not begun",
      about: "Requests that have arrived at a worker and not begun.",
      unit: "short",
      queries: [{ expr: sum(workerQueue, WORKER), legend }],
      series: [workerQueue],
    },
    {
      title: "First answer of a worker",
      about: "p95, from the request's arrival there: for a prefill worker, computing the prompt.",
      unit: "s",
      queries: [{ expr: quantile(0.95, firstResponse, WORKER), legend }],
      series: [firstResponse],
    },
    {
      title: "Whole request on a worker",
      about: "Mean.",
      unit: "s",
      queries: [{ expr: mean(workerDuration, WORKER), legend }],
      series: [workerDuration],
    },
    {
      title: "Way to a worker and back",
      about:
        "From a frontend's sending to the worker's first answer: more than the worker's own time is the network.",
      unit: "s",
      queries: quantiles(roundtrip),
      series: [roundtrip],
    },
    {
      title: "Called off",
      about: "Requests per second that were called off, by worker.",
      unit: "reqps",
      queries: [{ expr: rate(workerCancelled, WORKER, SERVING), legend }],
      series: [workerCancelled],
    },
    {
      title: "Up since",
      about: "A line that falls to 0 is a restart.",
      unit: "s",
      queries: [{ expr: `max by (program) (${select(uptime.name, { job: "dynamo-worker" })})`, legend }],
      series: [uptime],
    },
  ];
}
