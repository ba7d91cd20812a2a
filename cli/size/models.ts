/** Models that AIConfigurator knows by another name: that of one which is cut in the same way. Pure. */

/**
 * Names that stacks have, by the one that AIConfigurator carries: it reads others from the hub, for which a
 * licence has to be accepted. Llama 3.3 70B has the numbers of 3.1, as a model that follows instructions has
 * those of the one that it was made of.
 * https://huggingface.co/meta-llama/Llama-3.3-70B-Instruct/blob/main/config.json
 */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  "meta-llama/Meta-Llama-3.1-70B": ["meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"],
};

/** The name that AIConfigurator is asked about. */
export const askedAs = (model: string): string =>
  Object.keys(NAMES).find((name) => NAMES[name]?.includes(model)) ?? model;

/** Names that stacks have, of a model that AIConfigurator was asked about. */
export const stackNames = (model: string): readonly string[] => NAMES[model] ?? [model];

/** A line for users; undefined if AIConfigurator is asked about the model itself. */
export function askedAsText(model: string): string | undefined {
  const name = askedAs(model);
  return name === model ? undefined : `${model} is predicted as ${name}, which has the same shape.`;
}
