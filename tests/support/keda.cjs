// Reads Kubernetes objects as a JSON list, and says what is wrong with those of KEDA by KEDA's own schemas.
"use strict";
const schemas = require(process.argv[2] + "/node_modules/@kubernetes-models/keda/keda.sh/v1alpha1");
const objects = JSON.parse(require("fs").readFileSync(0, "utf8"));
let read = 0;
for (const object of objects) {
  if (object.apiVersion !== "keda.sh/v1alpha1") continue;
  const Kind = schemas[object.kind];
  if (!Kind) throw new Error("KEDA knows no " + object.kind);
  new Kind(object).validate();
  read += 1;
}
console.log(read);
