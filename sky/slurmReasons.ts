/**
 * Slurm's reasons for a pending job, and whether waiting helps. Codes and their meaning:
 * https://slurm.schedmd.com/job_reason_codes.html and `job_state_reason.c` of Slurm's source, up to release
 * 25.11.
 */

/**
 * What ends the wait: `queue`: time and the end of other jobs; `others`: a raised limit, an opened partition,
 * or the end of jobs of the same user or group; `nothing`: the job can never start as requested.
 */
export type WaitEnd = "queue" | "others" | "nothing";

interface SlurmReason {
  readonly codes: RegExp;
  readonly ends: WaitEnd;
  /** Meaning of the code, printed after it and a colon. */
  readonly meaning: string;
}

/** The first match counts; an unknown code is taken for `queue`. */
const REASONS: readonly SlurmReason[] = [
  {
    codes: /^(Assoc|QOS)Max\w+Per(Job|Node)(Limit)?$|^AssocMaxBBMinutesPerJob$/,
    ends: "nothing",
    meaning: "one job may not have as much as this one asks for",
  },
  { codes: /^QOSMin/, ends: "nothing", meaning: "the QOS wants jobs that ask for more" },
  {
    codes: /^(PartitionNodeLimit|PartitionTimeLimit|PartitionConfig|MaxMemPerLimit)$/,
    ends: "nothing",
    meaning: "the partition's limits on nodes, time or memory do not allow it",
  },
  {
    codes: /^(InvalidAccount|AccountNotAllowed)$/,
    ends: "nothing",
    meaning: "the account does not exist, or may not use this partition",
  },
  {
    codes: /^(InvalidQOS|QOSNotAllowed)$/,
    ends: "nothing",
    meaning: "the QOS does not exist, or may not be used with this account or partition",
  },
  {
    codes: /^(BadConstraints|Constraints)$/,
    ends: "nothing",
    meaning: "no node has what is asked for together (constraint, nodelist, exclude)",
  },
  {
    codes: /^(DependencyNeverSatisfied|DeadLine|ReservationDeleted|ReservationInvalid)$/,
    ends: "nothing",
    meaning: "what it depends on is gone",
  },
  {
    codes: /^(Assoc|QOS)Grp/,
    ends: "others",
    meaning: "all jobs of this account or QOS together have reached their limit",
  },
  {
    codes: /Per(User|Account)(Limit)?$|^AssocMax(Jobs|SubmitJob)Limit$/,
    ends: "others",
    meaning: "all jobs of this user or account together have reached their limit",
  },
  {
    codes:
      /^(AssociationJobLimit|AssociationResourceLimit|AssociationTimeLimit|QOSJobLimit|QOSResourceLimit|QOSTimeLimit|QOSUsageThreshold|AccountingPolicy)$/,
    ends: "others",
    meaning: "a limit of this account or QOS is reached",
  },
  {
    codes: /^(PartitionDown|PartitionInactive)$/,
    ends: "others",
    meaning: "an administrator has closed the partition",
  },
  {
    codes: /^(ReqNodeNotAvail|NodeDown|FrontEndDown)$/,
    ends: "others",
    meaning: "a node that it needs is down, drained, or reserved before its time limit would be over",
  },
  {
    // The last are what a failed start leaves: "launch failed requeued held".
    codes: /^(JobHeldAdmin|JobHeldUser|JobHoldMaxRequeue)$|_requeued_held$/,
    ends: "others",
    meaning: "it is held until somebody releases it",
  },
];

/** Why a job is pending, if known. */
export interface SlurmWait {
  readonly code: string;
  readonly ends: WaitEnd;
  readonly meaning?: string;
}

/** @param reason SkyPilot's `init_status_reason`: `Launching (pending: Resources; partition: h100)`. */
export function slurmWait(reason: string): SlurmWait | undefined {
  const code = /\bpending: \(?(\w+)/.exec(reason)?.[1];
  if (code === undefined) return undefined;
  const known = REASONS.find(({ codes }) => codes.test(code));
  return known === undefined ? { code, ends: "queue" } : { code, ends: known.ends, meaning: known.meaning };
}
