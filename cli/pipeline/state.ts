/** Rejects unsuitable backends in a pipeline. */

import type { Environment } from "../../lib/dirs";
import { type Backend, usesPassphrase } from "../pulumi/backend";
import { UsageProblem } from "../pulumi/problem";

/**
 * Rejects state that is lost with the machine, or public: GitHub Actions and GitLab set `CI`, and pass an
 * unset variable as an empty string.
 * @throws UsageProblem that says what to set.
 */
export function assertSharedState(backend: Backend, env: Environment): void {
  if (!env["CI"]) return;
  if (backend.isOwn) {
    throw new UsageProblem(
      "This pipeline would keep its state on a machine that is thrown away, and lose its clusters. Set PULUMI_BACKEND_URL to a bucket (s3://…, gs://…, azblob://…), or PULUMI_ACCESS_TOKEN for Pulumi Cloud.",
    );
  }
  const hasFile = Boolean(env["PULUMI_CONFIG_PASSPHRASE_FILE"]);
  if (usesPassphrase(backend) && !hasFile && env["PULUMI_CONFIG_PASSPHRASE"] === "") {
    throw new UsageProblem(
      "PULUMI_CONFIG_PASSPHRASE is empty: the secrets in the state would be readable. Set it from the pipeline's secrets; where the stack's file names a secretsprovider, remove the variable.",
    );
  }
}
