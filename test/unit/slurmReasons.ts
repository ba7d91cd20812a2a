/**
 * All of Slurm's reasons, by what ends the wait: independent of the patterns in `sky/slurmReasons.ts`, from
 * `job_state_reason.c` of Slurm 25.11; the two in small letters are what slurmctld writes in its place.
 */
import type { WaitEnd } from "../../sky/slurmReasons";

export const SLURM_REASONS: Readonly<Record<WaitEnd, readonly string[]>> = {
  queue: `
    None Prolog Priority Dependency Resources BeginTime Licenses Reservation SchedDefer SystemFailure
    JobLaunchFailure NonZeroExitCode RaisedSignal TimeLimit InactiveLimit Cleaning JobArrayTaskLimit
    BurstBufferResources BurstBufferStageIn BurstBufferOperation PowerNotAvail PowerReserved FedJobLock
    OutOfMemory`
    .trim()
    .split(/\s+/),
  others: `
    PartitionDown PartitionInactive JobHeldAdmin JobHeldUser AssociationJobLimit AssociationResourceLimit
    AssociationTimeLimit ReqNodeNotAvail FrontEndDown NodeDown QOSUsageThreshold QOSJobLimit
    QOSResourceLimit QOSTimeLimit QOSGrpCpuLimit QOSGrpCPUMinutesLimit QOSGrpCPURunMinutesLimit
    QOSGrpJobsLimit QOSGrpMemLimit QOSGrpNodeLimit QOSGrpSubmitJobsLimit QOSGrpWallLimit
    QOSMaxCpuPerUserLimit QOSMaxJobsPerUserLimit QOSMaxNodePerUserLimit QOSMaxSubmitJobPerUserLimit
    AssocGrpCpuLimit AssocGrpCPUMinutesLimit AssocGrpCPURunMinutesLimit AssocGrpJobsLimit AssocGrpMemLimit
    AssocGrpNodeLimit AssocGrpSubmitJobsLimit AssocGrpWallLimit AssocMaxJobsLimit AssocMaxSubmitJobLimit
    JobHoldMaxRequeue launch_failed_requeued_held user_env_retrieval_failed_requeued_held
    AssocGrpUnknown AssocGrpUnknownMinutes AssocGrpUnknownRunMinutes AssocGrpMemMinutes
    AssocGrpMemRunMinutes AssocGrpNodeMinutes AssocGrpNodeRunMinutes AssocGrpEnergy AssocGrpEnergyMinutes
    AssocGrpEnergyRunMinutes AssocGrpGRES AssocGrpGRESMinutes AssocGrpGRESRunMinutes AssocGrpLicense
    AssocGrpLicenseMinutes AssocGrpLicenseRunMinutes AssocGrpBB AssocGrpBBMinutes AssocGrpBBRunMinutes
    QOSGrpUnknown QOSGrpUnknownMinutes QOSGrpUnknownRunMinutes QOSMaxUnknownPerUser QOSGrpMemoryMinutes
    QOSGrpMemoryRunMinutes QOSMaxMemoryPerUser QOSGrpNodeMinutes QOSGrpNodeRunMinutes QOSGrpEnergy
    QOSGrpEnergyMinutes QOSGrpEnergyRunMinutes QOSMaxEnergyPerUser QOSGrpGRES QOSGrpGRESMinutes
    QOSGrpGRESRunMinutes QOSMaxGRESPerUser QOSGrpLicense QOSGrpLicenseMinutes QOSGrpLicenseRunMinutes
    QOSMaxLicensePerUser QOSGrpBB QOSGrpBBMinutes QOSGrpBBRunMinutes QOSMaxBBPerUser MaxBBPerAccount
    MaxCpuPerAccount MaxEnergyPerAccount MaxGRESPerAccount MaxNodePerAccount MaxLicensePerAccount
    MaxMemoryPerAccount MaxUnknownPerAccount MaxJobsPerAccount MaxSubmitJobsPerAccount AccountingPolicy
    AssocGrpBilling AssocGrpBillingMinutes AssocGrpBillingRunMinutes QOSGrpBilling QOSGrpBillingMinutes
    QOSGrpBillingRunMinutes QOSMaxBillingPerUser MaxBillingPerAccount`
    .trim()
    .split(/\s+/),
  nothing: `
    PartitionNodeLimit PartitionTimeLimit BadConstraints InvalidAccount InvalidQOS QOSNotAllowed
    AccountNotAllowed DependencyNeverSatisfied QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit
    QOSMaxNodePerJobLimit QOSMaxWallDurationPerJobLimit QOSMinCpuNotSatisfied AssocMaxCpuPerJobLimit
    AssocMaxCpuMinutesPerJobLimit AssocMaxNodePerJobLimit AssocMaxWallDurationPerJobLimit
    AssocMaxUnknownPerJob AssocMaxUnknownPerNode AssocMaxUnknownMinutesPerJob AssocMaxCpuPerNode
    AssocMaxMemPerJob AssocMaxMemPerNode AssocMaxMemMinutesPerJob AssocMaxNodeMinutesPerJob
    AssocMaxEnergyPerJob AssocMaxEnergyPerNode AssocMaxEnergyMinutesPerJob AssocMaxGRESPerJob
    AssocMaxGRESPerNode AssocMaxGRESMinutesPerJob AssocMaxLicensePerJob AssocMaxLicenseMinutesPerJob
    AssocMaxBBPerJob AssocMaxBBPerNode AssocMaxBBMinutesPerJob QOSMaxUnknownPerJob QOSMaxUnknownPerNode
    QOSMaxUnknownMinutesPerJob QOSMinUnknown QOSMaxCpuPerNode QOSMaxMemoryPerJob QOSMaxMemoryPerNode
    QOSMaxMemoryMinutesPerJob QOSMinMemory QOSMaxNodeMinutesPerJob QOSMinNode QOSMaxEnergyPerJob
    QOSMaxEnergyPerNode QOSMaxEnergyMinutesPerJob QOSMinEnergy QOSMaxGRESPerJob QOSMaxGRESPerNode
    QOSMaxGRESMinutesPerJob QOSMinGRES QOSMaxLicensePerJob QOSMaxLicenseMinutesPerJob QOSMinLicense
    QOSMaxBBPerJob QOSMaxBBPerNode QOSMinBB DeadLine PartitionConfig MaxMemPerLimit AssocMaxBillingPerJob
    AssocMaxBillingPerNode AssocMaxBillingMinutesPerJob QOSMaxBillingPerJob QOSMaxBillingPerNode
    QOSMaxBillingMinutesPerJob QOSMinBilling ReservationDeleted ReservationInvalid Constraints`
    .trim()
    .split(/\s+/),
};
