import { randomUUID } from 'node:crypto'
import { DuckDBInstance } from '@duckdb/node-api'
import { beforeAll, describe, onTestFinished } from 'vitest'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { testConformance } from './suite.ts'

const TOKEN = process.env['MOTHERDUCK_TOKEN']

describe.skipIf(TOKEN === undefined)('the service (left out where MOTHERDUCK_TOKEN is not set)', () => {
  let extensions = ''

  beforeAll(async () => {
    extensions = await extensionDirectory('motherduck')
  }, 240_000)

  testConformance({
    name: 'MotherDuck',
    fresh: async () => {
      const name = `millrace_conformance_${randomUUID().slice(0, 8)}`
      await run(`CREATE DATABASE ${name}`)
      onTestFinished(() => run(`DROP DATABASE ${name}`))
      return { type: 'motherduck', database: name, token: TOKEN, extension_directory: extensions }
    },
  })

  async function run(sql: string): Promise<void> {
    const instance = await DuckDBInstance.create('md:', {
      motherduck_token: TOKEN ?? '',
      extension_directory: extensions,
    })
    try {
      const connection = await instance.connect()
      try {
        await connection.run(sql)
      } finally {
        connection.disconnectSync()
      }
    } finally {
      instance.closeSync()
    }
  }
})
