import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["node_modules", "src/api/schema.d.ts", "*.config.*", "tools"] },
  ...tseslint.configs.recommended,
  { rules: { eqeqeq: "error", "no-restricted-globals": ["error", "event", "name"] } },
);
