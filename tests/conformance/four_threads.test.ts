import { runOfficialSuite } from './suite.ts'

await runOfficialSuite(4)
