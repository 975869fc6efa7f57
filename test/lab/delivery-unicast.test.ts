// A13: delivery method unicast in a lab: see delivery-methods.ts.
import { deliveryTests } from "./delivery-methods.ts";

deliveryTests("unicast");
