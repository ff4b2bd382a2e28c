import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { MOTHERDUCK } from '../../../src/connections/databases/capabilities.ts'
import { PROMISES } from './promises.ts'

const page = readFileSync(new URL('../../../docs/connections.md', import.meta.url), 'utf8')
const [, section = ''] = page.split('\n## What each type promises\n')
const [documented = [], explained = []] = section.split('\n## ', 1).flatMap(tablesIn)

describe('the documented promises', () => {
  test('of each type are those that the suite holds it to', () => {
    const [header = [], ...lines] = documented
    const found = lines.map(([type, ...cells]) => [
      type,
      Object.fromEntries(cells.map((cell, n) => [header[n + 1]?.replaceAll('`', ''), toValue(cell)])),
    ])
    expect(Object.fromEntries(found)).toEqual(PROMISES)
  })

  test('are all explained', () => {
    const names = explained.slice(1).map(([name]) => name)
    expect(names).toEqual(documented[0]?.slice(1))
  })

  test('of MotherDuck, which is not there for every test, are those of its code', () => {
    expect(MOTHERDUCK).toEqual(PROMISES.MotherDuck)
  })
})

/** Rows of cells, the header first, without the line below it. */
function tablesIn(text: string): string[][][] {
  return text
    .split(/\n{2,}/)
    .filter((block) => block.startsWith('|'))
    .map((block) =>
      block
        .trim()
        .split('\n')
        .filter((line) => !line.startsWith('|---'))
        .map((line) =>
          line
            .split('|')
            .slice(1, -1)
            .map((cell) => cell.trim()),
        ),
    )
}

function toValue(cell: string): boolean | string {
  if (cell === 'yes') return true
  return cell === 'no' ? false : cell
}
