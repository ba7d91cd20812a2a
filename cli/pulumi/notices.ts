/**
 * What the Pulumi CLI prints, without its notices about plugins on PATH: it says of each where it is, several
 * times in an operation; the toolchain has said so once, when it was set up. And without the advice to run
 * `pulumi stack rm`, which deletes the stack's file, a committed one too.
 */

const NOTICE = /warning: using pulumi-(language|resource)-\S+ from \$PATH/;
/** Ends what `destroy` prints. Where that is not the user's own command, the state is removed too. */
const LEFT_BEHIND =
  /^(The resources in the stack have been deleted, but|If you want to remove the stack completely)/;
/** Begins the part that repeats all messages, by resource. */
const TITLE = /^Diagnostics:$/;
const RESOURCE = /^ {2}\S+ \(.*\):$/;
/** The number counts notices too; the messages themselves are printed. */
const COUNT = /\s+\d+ warnings?$/;

/**
 * A filter for lines: titles are held back until a message is printed below them.
 * @param options.keepBlank Keeps the empty lines between parts. Default: false.
 */
export function withoutNotices(
  print: (line: string) => void,
  { keepBlank = false }: { readonly keepBlank?: boolean } = {},
): (line: string) => void {
  let titles: string[] = [];
  let blank = false;
  const show = (line: string) => {
    if (blank) print("");
    blank = false;
    print(line);
  };
  return (line) => {
    if (NOTICE.test(line) || LEFT_BEHIND.test(line)) return;
    if (line.trim() === "") blank = keepBlank;
    else if (TITLE.test(line)) titles = [line];
    else if (RESOURCE.test(line)) titles = [...titles.filter((title) => TITLE.test(title)), line];
    else {
      if (line.startsWith("    ")) for (const title of titles) show(title);
      titles = [];
      show(line.replace(COUNT, ""));
    }
  };
}
