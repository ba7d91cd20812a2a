/** Local files that a deployment copies to its nodes. */
import { dictionary, text } from "./values";

/** File names on the nodes, with their local paths. */
export const filesSchema = () =>
  dictionary(
    "names of files and their paths on this machine",
    {
      noun: "the name of a file",
      allowed: "letters, digits and . _ -, starting with a letter or digit",
      pattern: /^[A-Za-z0-9][\w.-]*$/,
    },
    text({
      noun: "a path",
      allowed: "the path of a file or directory, from the project's directory or from /",
      pattern: /^[^~\s\p{Cc}\p{Cs}]([^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}])?$/u,
      hint: (written) => (written.startsWith("~") ? " Write the whole path, from /." : ""),
    }),
  );
