/**
 * Kubernetes' own programs, built from the Go module proxy: for the lab (`npm run lab -- up --kubernetes`).
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { VERSIONS } from "../config/versions";
import { UserError } from "../lib/errors";
import { buildGoPrograms, findGo, goModOf } from "./go";
import { installDirectory, type Progress, withLock } from "./install";

const MODULE = "k8s.io/kubernetes";
const COMMANDS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kube-proxy",
  "kubelet",
  "kubectl",
] as const;
/** Five minutes on two cores. */
const BUILD_SECONDS = 2400;

/** What is in their directory. */
export const KUBERNETES_PROGRAMS = [...COMMANDS, "coredns", "pause"] as const;

/** Where they are, built or not. */
export function kubernetesPrograms(cache: string): string {
  return join(cache, `kubernetes-${VERSIONS.kubernetes}-coredns-${VERSIONS.coredns}`);
}

/**
 * Builds them into the cache unless they are there. @returns Their directory.
 *
 * @throws UserError if there is no Go.
 */
export async function ensureKubernetesPrograms(cache: string, onProgress: Progress): Promise<string> {
  const directory = kubernetesPrograms(cache);
  if (existsSync(directory)) return directory;
  const go = await findGo();
  if (go === undefined)
    throw new UserError(
      "The lab's Kubernetes is built from its Go modules, and there is no 'go' on PATH. Install Go 1.24 or newer: https://go.dev/dl/",
    );
  const lock = { purpose: "building Kubernetes", waitSeconds: BUILD_SECONDS, onProgress };
  return withLock(join(cache, "locks", "kubernetes"), lock, async () => {
    if (existsSync(directory)) return directory;
    onProgress(
      `Building Kubernetes ${VERSIONS.kubernetes} and CoreDNS ${VERSIONS.coredns} with Go into ${directory} (minutes, 600 MB)`,
    );
    const goMod = await goModOf(go, MODULE, VERSIONS.kubernetes);
    return installDirectory(cache, directory.slice(cache.length + 1), async (output) => {
      await mkdir(output, { recursive: true });
      await buildGoPrograms(
        go,
        { ...kubernetesModule(goMod), output, limitSeconds: BUILD_SECONDS },
        onProgress,
      );
    });
  });
}

/**
 * The scratch module of all programs. What Kubernetes' own go.mod replaces by its `staging` directory is on
 * the proxy as modules of the same release, 0.x instead of 1.x. Pure.
 *
 * @param goMod Kubernetes' own go.mod.
 */
export function kubernetesModule(goMod: string) {
  const staged = [...goMod.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)].map(([, name]) => name ?? "");
  const release = `v${VERSIONS.kubernetes.replace(/^1\./, "0.")}`;
  const [, minor = ""] = VERSIONS.kubernetes.split(".");
  const version = { gitVersion: `v${VERSIONS.kubernetes}`, gitMajor: "1", gitMinor: minor };
  return {
    package: `${MODULE} ${VERSIONS.kubernetes}`,
    files: {
      "go.mod": [
        "module scratch",
        "go 1.24.0",
        `require ${MODULE} v${VERSIONS.kubernetes}`,
        `require github.com/coredns/coredns v${VERSIONS.coredns}`,
        ...staged.map((name) => `replace ${name} => ${name} ${release}`),
        "",
      ].join("\n"),
      "coredns/main.go": COREDNS,
      "pause/main.go": PAUSE,
    },
    packages: [...COMMANDS.map((name) => `${MODULE}/cmd/${name}`), "scratch/coredns", "scratch/pause"],
    variables: Object.fromEntries(
      ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((path) =>
        Object.entries(version).map(([name, value]) => [`${path}.${name}`, value]),
      ),
    ),
  };
}

/** With the plugins that the lab needs alone: all of them are every cloud's SDK. */
const COREDNS = `package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/kubernetes"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

func init() {
	dnsserver.Directives = []string{"bind", "errors", "kubernetes", "forward"}
}

func main() { coremain.Run() }
`;

/** The first process of each pod, which keeps its namespaces. */
const PAUSE = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
`;
