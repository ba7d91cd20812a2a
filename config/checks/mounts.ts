/** Checks of SkyPilot's mounts: paths and conflicts. What is mounted: `fileMounts.ts`, `volumes.ts`. */
import type { Problem } from "../problems";
import type { Known } from ".";
import { fileMountProblems } from "./fileMounts";
import { volumeProblems } from "./volumes";

export function mountChecks(known: Known): Problem[] {
  const { sky, target } = known;
  if (sky === undefined) return [];
  const { fileMounts, volumes } = sky;
  const places = (["fileMounts", "volumes"] as const).flatMap((key) => {
    const paths = Object.keys(sky[key]);
    if (target === "local" && paths.length > 0) {
      const message =
        "has no effect on target local, where SkyPilot is not asked. Remove it; dynamo-sky:files brings files there too.";
      return [{ path: ["sky", key], message }];
    }
    return paths.flatMap((at): Problem[] => {
      const path = ["sky", key, at];
      if (/\/\.dynamo-sky(\/|$)/.test(at))
        return [
          {
            path,
            message: "is in ~/.dynamo-sky, which is this program's own on a node. Choose another path.",
          },
        ];
      if (key === "volumes" && Object.hasOwn(fileMounts, at))
        return [
          { path, message: "is mounted by sky.fileMounts already. Choose another path for one of the two." },
        ];
      const outer =
        key === "fileMounts" ? undefined : Object.keys(volumes).find((one) => at.startsWith(`${one}/`));
      if (outer === undefined) return [];
      return [
        {
          path,
          message: `is inside of another volume's path, ${outer}. Choose another path for one of the two.`,
        },
      ];
    });
  });
  if (target === "local") return places;
  return [...places, ...fileMountProblems(fileMounts), ...volumeProblems(volumes, known)];
}
