// A13: delivery method forward in a lab: see delivery-methods.ts.
import { deliveryTests } from "./delivery-methods.ts";

deliveryTests("forward");
