import { beforeAll, expect, test } from 'vitest'
import { planForAttempts } from '../helpers/attempts.ts'
import { extensionDirectory } from '../helpers/extensions.ts'

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('httpfs')
}, 120_000)

test('a build says where a secret stands as plain text, and not which', async () => {
  const plan = async (secret: string): Promise<readonly string[]> => {
    const project = await planForAttempts(
      {
        'config.yaml': `gateways:
  local:
    connection:
      type: duckdb
      database: w.duckdb
      extensions: [httpfs]
      extension_directory: ${extensions}
      secrets: { api: { type: http, bearer_token: ${secret} } }
`,
        'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
        token: 'from-a-file',
      },
      '2024-01-03T00:00:00Z',
    )
    return project.plan.notices
  }
  const notices = await plan('as-plain-text')
  expect(notices).toEqual([expect.stringMatching(/^connection\.secrets\.api\.bearer_token: .*plain text/)])
  expect(notices.join()).not.toContain('as-plain-text')
  expect(await plan('{ file: token }')).toEqual([])
})
