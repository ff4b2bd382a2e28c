/**
 * Lists of whole numbers as short text: what a build hands from one run of its workflow to the next, and what a step waits for.
 * Differences to the number before, in base 36, those that repeat counted: `[0, 1, 2, 3, 7]` is `0 1*3 4`. Pure.
 */
import { MillraceError } from '../errors.ts'

const BASE = 36

export function packNumbers(numbers: readonly number[]): string {
  const words: string[] = []
  let before = 0
  let at = 0
  while (at < numbers.length) {
    const difference = (numbers[at] ?? 0) - before
    let times = 0
    while (at < numbers.length && (numbers[at] ?? 0) - before === difference) {
      before = numbers[at] ?? 0
      at += 1
      times += 1
    }
    const word = difference.toString(BASE)
    words.push(times === 1 ? word : `${word}*${times.toString(BASE)}`)
  }
  return words.join(' ')
}

/** @throws MillraceError INTERNAL for what is no packed list. */
export function unpackNumbers(text: string): number[] {
  const numbers: number[] = []
  let last = 0
  for (const word of text === '' ? [] : text.split(' ')) {
    const [difference = '', times = '1'] = word.split('*')
    const [step, count] = [Number.parseInt(difference, BASE), Number.parseInt(times, BASE)]
    if (Number.isNaN(step) || Number.isNaN(count)) {
      throw new MillraceError('INTERNAL', `Expected a packed list of numbers, got '${word}' in it`)
    }
    for (let nth = 0; nth < count; nth += 1) numbers.push((last += step))
  }
  return numbers
}
