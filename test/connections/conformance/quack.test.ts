import { connectionTo, quackServer, TOKEN } from '../quack-harness.ts'
import { testConformance } from './suite.ts'

const server = quackServer(TOKEN)
let databases = 0

testConformance({
  name: 'Quack',
  fresh: async () => {
    databases += 1
    const name = `database_${databases}`
    const [own] = await server().run<{ path: string }>("SELECT path FROM duckdb_databases() WHERE database_name = 's'")
    await server().run(`ATTACH '${own?.path}.${name}' AS ${name}`)
    return connectionTo(server(), { database: name })
  },
})
