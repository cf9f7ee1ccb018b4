import { uniform } from '../inputs/random-model.js';

/** What a table may say of a place, in the order of its columns; as in the E2E data set, and in the words of the bundled model's world. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  name: [
    'Blue Kettle',
    'Copper Pot',
    'Larch House',
    'Old Anchor',
    'Green Table',
    'Lantern',
    'Red Door',
    'Silver Spoon',
  ].flatMap((name) => [name, `The ${name}`]),
  type: ['restaurant', 'coffee shop', 'pub', 'bakery', 'tea room', 'bistro'],
  food: ['Italian', 'Japanese', 'French', 'Indian', 'English', 'Spanish', 'Turkish', 'Chinese'],
  price: ['low', 'fair', 'high'],
  rating: ['poor', 'good', 'high'],
  area: ['old town', 'city centre', 'river quarter', 'harbour quarter', 'north end'],
  near: ['the harbour', 'the market square', 'the old mill', 'the railway station', 'the town hall', 'the library'],
  town: [
    'Alder Bay',
    'Birchfield',
    'Carrow',
    'Copper Hill',
    'Dunmore',
    'Eastwick',
    'Fernley',
    'Glen Harbour',
    'Halmouth',
  ],
};

/** A table of a place: its name and type, and some of the other columns; request `index` of a seed is always the same. */
export function tableRequest(index: number, seed = 1): string {
  const next = uniform(`table/${seed}/${index}`);
  const chance = (): number => (next() + 1) / 2;
  const cells = Object.entries(COLUMNS).flatMap(([column, values], place) => {
    const isShown = place < 2 || chance() < 0.6;
    return isShown ? [`${column} : ${values[Math.floor(chance() * values.length)] ?? ''}`] : [];
  });
  return `${cells.join(' | ')}\n`;
}
