/** Where a frontend tells of a model. */

/** A model's name in the path of a URL; its slashes stay. */
export function modelInPath(model: string): string {
  return model.split("/").map(encodeURIComponent).join("/");
}

/** Below `/v1/` of a frontend: which workers of a model are registered. */
export function readyPath(model: string): string {
  return `models/${modelInPath(model)}/ready`;
}
