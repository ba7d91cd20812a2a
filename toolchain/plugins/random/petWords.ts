/** Words for pets' names. */
const words = (text: string): readonly string[] => text.trim().split(/\s+/);

export const ADVERBS = words(`
  boldly brightly calmly clearly deeply duly easily fairly firmly fondly freely gently gladly greatly happily
  justly kindly lightly loudly merely mildly neatly nicely openly plainly proudly purely quickly quietly rarely
  really safely simply slowly smoothly softly solidly surely truly warmly wildly wisely
`);

export const ADJECTIVES = words(`
  able agile amber ample basic blue bold brave brief bright brisk calm clean clear clever cool crisp daring deep
  eager early easy equal exact fair fast fine firm fleet fond free fresh glad golden good grand great green happy
  humble ideal keen kind large light lively loyal lucky mellow merry mild modest neat noble open patient plain
  polite prime proud quick quiet rapid ready regal sharp silent simple smart smooth snug solid steady stout strong
  sunny sure swift tidy tough true vast vital warm wide wise witty young
`);

export const ANIMALS = words(`
  adder alpaca ant badger bat bear beaver bee beetle bison boar bobcat buffalo bull bunny camel caribou cat
  cheetah chicken clam cobra cod colt condor cougar cow coyote crab crane cricket crow deer dingo dog dolphin
  donkey dove dragonfly duck eagle eel elk emu falcon ferret finch fox frog gazelle gecko gibbon goat goose
  gopher grouse gull hare hawk hedgehog heron horse hound ibex iguana jackal jaguar jay kite kiwi koala lark
  lemur leopard lion lizard llama lobster lynx macaw magpie marmot martin mole moose moth mouse mule newt ocelot
  octopus orca oriole osprey otter owl ox oyster panda panther parrot pelican penguin pigeon pony puffin puma
  python quail rabbit raccoon ram raven robin salmon seal shark sheep shrew shrimp skunk snail snake sparrow
  spider squid squirrel stallion starling stork sunfish swan swift tapir tern tiger toad toucan trout turkey
  turtle viper vulture wallaby walrus wasp weasel whale wolf wombat woodcock wren yak zebra
`);
