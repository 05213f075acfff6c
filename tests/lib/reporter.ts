// Prints the closing line that ./test adds up, and fails the run if a file of the official suite
// did not run and pass exactly the tests that it should: a skipped test is not a passed one.
import { relative, sep } from 'node:path'
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node'

// The official suite 0.3.6 has 338 tests; 6 of them belong to subscriptions, which are off.
const kExpectedPerFile: Record<string, number> = { conformance: 332 }

export default class CountReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    let passed = 0
    let failed = errors.length
    for (const module of modules) {
      const [group = ''] = relative(module.project.config.root, module.moduleId).split(sep)
      let passedHere = 0
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed') ++passedHere
        if (state === 'failed' || state === 'pending') ++failed
      }
      passed += passedHere
      if (module.errors().length > 0) ++failed
      const expected = kExpectedPerFile[group]
      const filtered = module.project.config.testNamePattern !== undefined
      if (expected !== undefined && passedHere !== expected && !filtered) {
        console.error(`${module.moduleId}: ${passedHere} tests passed, ${expected} must`)
        if (failed === 0) ++failed
      }
    }
    if (modules.length === 0 || (reason !== 'passed' && failed === 0)) ++failed
    if (failed > 0) process.exitCode = 1
    console.log(`\n${passed} passed, ${failed} failed`)
  }
}
