// All rows of the conformance table.
import type { Row } from './module_cases.ts'
import { G_ROWS } from './module_cases_g.ts'
import { GLASS_ROWS } from './module_cases_glass.ts'
import { M1_ROWS } from './module_cases_m1.ts'
import { M2_ROWS } from './module_cases_m2.ts'
import { P_ROWS } from './module_cases_p.ts'
import { P1_ROWS } from './module_cases_p1.ts'
import { PROVIDER_ROWS } from './module_cases_providers.ts'
import { S_ROWS } from './module_cases_s.ts'
import { S6_ROWS } from './module_cases_s6.ts'
import { V_ROWS } from './module_cases_v.ts'
import { V1_ROWS } from './module_cases_v1.ts'
import { X_ROWS } from './module_cases_x.ts'

export const ROWS: readonly Row[] = [
  ...V1_ROWS,
  ...GLASS_ROWS,
  ...V_ROWS,
  ...M1_ROWS,
  ...M2_ROWS,
  ...S_ROWS,
  ...S6_ROWS,
  ...P_ROWS,
  ...P1_ROWS,
  ...PROVIDER_ROWS,
  ...X_ROWS,
  ...G_ROWS,
]
